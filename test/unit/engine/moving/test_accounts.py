"""Accounts of docker configurations."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from kaito.engine.moving.accounts import Account, accounts
from kaito.engine.moving.reference import parse

ME = {"username": "me", "password": "secret"}


def written(tmp_path: Path, entries: dict[str, Any], name: str = "0") -> Path:
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps({"auths": entries}))
    return path


@pytest.mark.parametrize(
    ("key", "reference"),
    [
        ("r.io", "r.io/a"),
        ("https://r.io", "r.io/a"),
        ("https://r.io/v2/", "r.io/a"),
        ("r.io:5000", "r.io:5000/a"),
        ("R.io", "r.io/a"),
        ("*.azurecr.io", "mine.azurecr.io/a"),
        ("r.io/team", "r.io/team/a"),
        ("https://index.docker.io/v1/", "busybox"),
        ("docker.io", "docker.io/me/a"),
    ],
)
def test_an_account_is_for_its_registry(tmp_path: Path, key: str, reference: str) -> None:
    found = accounts([written(tmp_path, {key: ME})], parse(reference))
    assert found == [Account(user="me", password="secret")]


@pytest.mark.parametrize(
    ("key", "reference"),
    [("r.io", "other.io/a"), ("r.io:5000", "r.io/a"), ("r.io/team", "r.io/teamwork/a")],
)
def test_an_account_is_for_no_other_registry(tmp_path: Path, key: str, reference: str) -> None:
    assert accounts([written(tmp_path, {key: ME})], parse(reference)) == []


def test_the_password_may_be_coded_together_with_the_name(tmp_path: Path) -> None:
    entry = {"auth": base64.b64encode(b"me:se:cret").decode()}
    found = accounts([written(tmp_path, {"r.io": entry})], parse("r.io/a"))
    assert found == [Account(user="me", password="se:cret")]


def test_files_come_in_their_order_and_closer_matches_first(tmp_path: Path) -> None:
    def user(name: str) -> dict[str, str]:
        return {"username": name, "password": "x"}

    first = written(tmp_path, {"r.io": user("wide"), "r.io/team": user("close")}, "first")
    second = written(tmp_path, {"r.io": user("second")}, "second")
    found = accounts([first, second, first], parse("r.io/team/a"))
    assert [each.user for each in found] == ["close", "wide", "second"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"auths": []}', '{"auths": {"r.io": 3}}', '{"auths":{"r.io":{"auth":"ä"}}}'],
)
def test_a_file_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "0.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"0\.json"):
        accounts([path], parse("r.io/a"))


def test_an_account_shows_no_password() -> None:
    assert "secret" not in repr(Account(user="me", password="secret"))
