"""The definitions are what an API server accepts and what kubectl users know."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from kaito.api import crd_files, crds

CONFIG = Path(__file__).parents[3] / "config" / "crd"
CRDS = {c["metadata"]["name"]: c for c in crds()}
WORKSPACES = CRDS["workspaces.kaito.sh"]


def parts(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema inside a schema, with its path."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from parts(inner, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from parts(schema[key], f"{path}[]")


SCHEMAS = [
    (f"{crd['metadata']['name']}/{version['name']}{path}", schema)
    for crd in CRDS.values()
    for version in crd["spec"]["versions"]
    for path, schema in parts(version["schema"]["openAPIV3Schema"])
]


def test_the_files_in_config_are_current() -> None:
    assert {p.name: p.read_text() for p in CONFIG.glob("*_*.yaml")} == crd_files(), (
        "write kaito.api.crd_files() to config/crd (make manifests)"
    )


def test_every_part_has_one_type_or_is_an_integer_or_a_string() -> None:
    for path, schema in SCHEMAS:
        assert ("type" in schema) != schema.get("x-kubernetes-int-or-string", False), path


def test_nothing_is_both_open_and_closed() -> None:
    for path, schema in SCHEMAS:
        assert not {"properties", "additionalProperties"} <= schema.keys(), path
        assert schema.get("type") != "array" or "items" in schema, path


def test_defaults_satisfy_their_own_schema() -> None:
    types = {"string": str, "integer": int, "boolean": bool}
    for path, schema in SCHEMAS:
        if "default" in schema:
            assert isinstance(schema["default"], types[schema["type"]]), path
            assert schema["default"] in schema.get("enum", [schema["default"]]), path


def test_everything_is_bounded() -> None:
    """Else a rule about it could cost too much, and an object grow without end."""
    bounds = {"string": "maxLength", "array": "maxItems"}
    for path, schema in SCHEMAS:
        owned_by_the_server = path.partition("/")[2].partition(".")[2] in ("apiVersion", "kind")
        if owned_by_the_server or "enum" in schema or schema.get("format") == "date-time":
            continue
        bound = (
            "maxProperties"
            if "additionalProperties" in schema
            else bounds.get(schema.get("type", ""))
        )
        assert bound is None or bound in schema, path


def test_no_pattern_is_shown_to_those_who_write_workspaces() -> None:
    assert not [path for path, schema in SCHEMAS if "pattern" in schema and "workspaces" in path]


def test_a_rule_about_a_field_names_it() -> None:
    """Where the server lets it: of metadata it has no schema."""
    for path, schema in SCHEMAS:
        for rule in schema.get("x-kubernetes-validations", []):
            at = rule.get("fieldPath", ".").removeprefix(".").split(".")
            found = schema
            for step in filter(None, at):
                found = found["properties"][step]
            assert found, path


LIMIT = 10_000_000  # of what an API server lets one rule cost, by its estimate
# What a match costs there: a tenth of the bytes, of which a character may take four, for each
# quarter of the characters of the expression (k8s.io/apiserver/pkg/cel/library/cost.go).
BYTES, EACH_BYTE, EACH_SIGN = 4, 0.1, 0.25


def matches(rule: str, longest: int) -> float:
    """What matching the strings of a rule may cost once."""
    written = re.findall(r"self\.matches\(r'(.*?)'\)", rule)
    return sum(ceil(longest * BYTES * EACH_BYTE) * ceil(len(each) * EACH_SIGN) for each in written)


def costs(schema: dict[str, Any], times: int = 1) -> Iterator[float]:
    """What each rule about a string may cost, for as many of them as an object may hold."""
    for rule in schema.get("x-kubernetes-validations", []):
        if schema.get("type") == "string":
            yield times * matches(rule["rule"], schema["maxLength"])
    for inner in schema.get("properties", {}).values():
        yield from costs(inner, times)
    for key, bound in (("items", "maxItems"), ("additionalProperties", "maxProperties")):
        if key in schema:
            yield from costs(schema[key], times * schema[bound])


def test_no_rule_may_cost_more_than_a_server_lets_it() -> None:
    for crd in CRDS.values():
        for version in crd["spec"]["versions"]:
            found = [*costs(version["schema"]["openAPIV3Schema"])]
            assert max(found, default=0) < 0.95 * LIMIT  # beside matching, little is done


def test_a_rule_that_costs_too_much_is_noticed() -> None:
    """Refused by Kubernetes 1.36 as 1.28 times too much: two expressions of 159 and 82 signs."""
    text = {"type": "string", "maxLength": 2048}
    rule = f"!(!self.matches(r'{'p' * 159}')) || (self.matches(r'{'u' * 82}'))"
    links = {
        "type": "array",
        "maxItems": 256,
        "items": {**text, "x-kubernetes-validations": [{"rule": rule}]},
    }
    assert max(costs(links)) > LIMIT


def test_messages_of_rules_fit_into_one_line() -> None:
    for path, schema in SCHEMAS:
        for rule in schema.get("x-kubernetes-validations", []):
            assert rule["message"].endswith("."), path
            assert "\n" not in rule["message"], path
            assert len(rule["message"]) <= 2048, path


def test_users_see_the_columns_that_they_know() -> None:
    columns = WORKSPACES["spec"]["versions"][0]["additionalPrinterColumns"]
    assert [c["name"] for c in columns if "priority" not in c] == [
        "Instance",
        "ResourceReady",
        "InferenceReady",
        "WorkspaceReady",
        "Age",
    ]
    assert [c["name"] for c in columns if c.get("priority") == 1] == [
        "JobStarted",
        "WorkspaceSucceeded",
        "TargetNodeCount",
        "State",
    ]


def test_both_versions_have_one_schema_but_for_the_default_instance_type() -> None:
    new, old = WORKSPACES["spec"]["versions"]
    assert (new["name"], new["storage"]) == ("v1beta1", True)
    assert (old["name"], old["storage"], old["served"]) == ("v1alpha1", False, True)
    properties = old["schema"]["openAPIV3Schema"]["properties"]["resource"]["properties"]
    default = properties["instanceType"].pop("default")
    try:
        assert default == "Standard_NC24ads_A100_v4"
        assert old["schema"] == new["schema"]
    finally:
        properties["instanceType"]["default"] = default


def test_a_workspace_has_its_short_names_and_a_status_subresource() -> None:
    assert WORKSPACES["spec"]["names"]["shortNames"] == ["wk", "wks"]
    assert WORKSPACES["spec"]["names"]["categories"] == ["workspace"]
    assert all(v["subresources"] == {"status": {}} for v in WORKSPACES["spec"]["versions"])


def test_machines_are_karpenters() -> None:
    spec = CRDS["machines.karpenter.sh"]["spec"]
    assert spec["scope"] == "Cluster"
    assert [v["name"] for v in spec["versions"]] == ["v1alpha5"]
    schema = spec["versions"][0]["schema"]["openAPIV3Schema"]
    assert "required" not in schema
    assert "required" not in schema["properties"]["spec"]


@pytest.mark.parametrize("name", sorted(CRDS))
def test_definitions_are_made_afresh(name: str) -> None:
    again = {c["metadata"]["name"]: c for c in crds()}
    assert again[name] == CRDS[name]
    assert again[name] is not CRDS[name]


def test_node_claims_are_karpenters() -> None:
    spec = CRDS["nodeclaims.karpenter.sh"]["spec"]
    assert spec["scope"] == "Cluster"
    schema = spec["versions"][0]["schema"]["openAPIV3Schema"]
    assert schema["required"] == ["spec"]
    assert schema["properties"]["spec"]["required"] == ["nodeClassRef", "requirements"]
    assert schema["properties"]["spec"]["properties"]["expireAfter"]["default"] == "720h"
    names = [c["name"] for c in spec["versions"][0]["additionalPrinterColumns"]]
    assert names[:6] == ["Type", "Capacity", "Zone", "Node", "Ready", "Age"]
