"""The authority lives on, certificates are renewed, keys are private."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path

import yaml

from kaito.local import kubeconfig
from kaito.local.pki import CA_DAYS, SERVING_DAYS, ensure_pki
from kaito.local.tokens import keep_token

NOW = 1_767_225_600.0
DAY = 86_400.0


def test_a_restart_finds_the_same_certificates(tmp_path: Path) -> None:
    first = ensure_pki(tmp_path, NOW)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert ensure_pki(tmp_path, NOW + DAY) == first
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_certificate_is_renewed_before_it_ends_and_the_authority_stays(tmp_path: Path) -> None:
    pki = ensure_pki(tmp_path, NOW)
    authority, certificate = pki.ca_pem(), pki.certificate.read_bytes()
    ensure_pki(tmp_path, NOW + (SERVING_DAYS - 29) * DAY)
    assert pki.ca_pem() == authority
    assert pki.certificate.read_bytes() != certificate
    ensure_pki(tmp_path, NOW + (CA_DAYS - 29) * DAY)
    assert pki.ca_pem() != authority


def test_keys_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    ensure_pki(tmp_path, NOW)
    for name in ("ca.key", "tls.key"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0


def test_the_certificate_can_serve_and_is_trusted(tmp_path: Path) -> None:
    pki = ensure_pki(tmp_path, NOW)
    pki.server_context()
    trusting = ssl.create_default_context(cafile=str(pki.ca))
    assert len(trusting.get_ca_certs()) == 1


def test_a_kubeconfig_carries_everything(tmp_path: Path) -> None:
    text = kubeconfig.render(server="https://127.0.0.1:1", ca_pem="PEM", token="t")
    kubeconfig.write(tmp_path / "sub" / "config", text)
    read = yaml.safe_load((tmp_path / "sub" / "config").read_text())
    cluster = read["clusters"][0]["cluster"]
    assert cluster["server"] == "https://127.0.0.1:1"
    assert base64.b64decode(cluster["certificate-authority-data"]) == b"PEM"
    assert read["users"][0]["user"] == {"token": "t"}
    assert read["current-context"] == read["contexts"][0]["name"]
    assert (tmp_path / "sub" / "config").stat().st_mode & 0o077 == 0


def test_a_token_is_made_once(tmp_path: Path) -> None:
    token = keep_token(tmp_path / "tokens" / "admin")
    assert len(token) > 40
    assert keep_token(tmp_path / "tokens" / "admin") == token
    assert keep_token(tmp_path / "tokens" / "other") != token
