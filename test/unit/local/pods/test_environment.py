"""The environment of a container follows from its declarations."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from kaito.local.pods.downward import Downward
from kaito.local.pods.environment import ConfigError, Sources, environment, references
from kaito.runtime import Object

POD: Object = {
    "metadata": {
        "name": "p",
        "namespace": "ns",
        "uid": "u",
        "labels": {"app": "web", "a/b": 'say "hi"'},
    },
    "spec": {"nodeName": "n", "serviceAccountName": "sa"},
}
HELD: dict[tuple[str, str], Object] = {
    ("configmap", "conf"): {"data": {"k": "v", "other": "w"}},
    ("secret", "sec"): {"data": {"k": base64.b64encode(b"hidden").decode()}},
}
SERVICES = {"KUBERNETES_SERVICE_HOST": "127.0.0.1"}
RESOURCES = {"limits": {"memory": "1Gi", "cpu": "1500m"}, "requests": {"cpu": "250m"}}


def made(*variables: Any, sources: Any = ()) -> dict[str, str]:
    container = {"env": list(variables), "envFrom": list(sources), "resources": RESOURCES}
    downward = Downward(POD, {"cpu": "4", "ephemeral-storage": "10Gi"})
    given = Sources(downward, lambda kind, name: HELD.get((kind, name)), SERVICES)
    found = environment(container, given)
    assert found.pop("KUBERNETES_SERVICE_HOST") == "127.0.0.1"
    return found


def of(name: str, **source: Any) -> Object:
    return {"name": name, "valueFrom": source}


def test_a_variable_sees_those_before_it_and_the_services() -> None:
    assert made(
        {"name": "A", "value": "1"},
        {"name": "B", "value": "$(A)$(C)"},
        {"name": "C", "value": "$(KUBERNETES_SERVICE_HOST)"},
        {"name": "D"},
    ) == {"A": "1", "B": "1$(C)", "C": "127.0.0.1", "D": ""}


def test_what_is_declared_wins_over_what_is_taken_whole() -> None:
    whole = {"configMapRef": {"name": "conf"}}
    assert made({"name": "k", "value": "own"}, sources=[whole]) == {"k": "own", "other": "w"}
    prefixed = {"prefix": "P_", "secretRef": {"name": "sec"}}
    assert made(sources=[prefixed]) == {"P_k": "hidden"}


def test_values_come_from_config_maps_and_secrets() -> None:
    assert made(
        of("A", configMapKeyRef={"name": "conf", "key": "k"}),
        of("B", secretKeyRef={"name": "sec", "key": "k"}),
    ) == {"A": "v", "B": "hidden"}


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        (of("A", configMapKeyRef={"name": "none", "key": "k"}), 'configmap "none" not found'),
        (of("A", secretKeyRef={"name": "none", "key": "k"}), 'secret "none" not found'),
        (
            of("A", configMapKeyRef={"name": "conf", "key": "z"}),
            "couldn't find key z in ConfigMap ns/conf",
        ),
        (
            of("A", secretKeyRef={"name": "sec", "key": "z"}),
            "couldn't find key z in Secret ns/sec",
        ),
        (of("A", fieldRef={"fieldPath": "spec.hostname"}), "unsupported fieldPath: spec.hostname"),
        ({"name": "A", "value": "a\0b"}, "the variable 'A' holds what no environment can hold"),
    ],
)
def test_what_is_missing_is_named_as_a_kubelet_does(variable: Any, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        made(variable)
    assert str(refused.value) == message


@pytest.mark.parametrize("name", ["none", "conf"])
def test_what_is_optional_may_be_missing(name: str) -> None:
    assert made(of("A", configMapKeyRef={"name": name, "key": "z", "optional": True})) == {}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("metadata.name", "p"),
        ("metadata.namespace", "ns"),
        ("metadata.uid", "u"),
        ("metadata.labels['app']", "web"),
        ("metadata.annotations['none']", ""),
        ("metadata.labels", 'a/b="say \\"hi\\""\napp="web"'),
        ("spec.nodeName", "n"),
        ("spec.serviceAccountName", "sa"),
        ("status.podIP", "127.0.0.1"),
    ],
)
def test_a_pod_is_told_of_itself(path: str, text: str) -> None:
    assert made(of("A", fieldRef={"fieldPath": path})) == {"A": text}


@pytest.mark.parametrize(
    ("resource", "divisor", "text"),
    [
        ("limits.memory", "1Mi", "1024"),
        ("limits.memory", "0", "1073741824"),
        ("limits.cpu", "", "2"),
        ("limits.cpu", "1m", "1500"),
        ("requests.cpu", "1m", "250"),
        ("requests.memory", "1Gi", "1"),
        ("limits.ephemeral-storage", "1Gi", "10"),
        ("requests.ephemeral-storage", "1", "0"),
    ],
)
def test_amounts_are_rounded_up_to_their_divisor(resource: str, divisor: str, text: str) -> None:
    reference = {"resource": resource, "divisor": divisor}
    assert made(of("A", resourceFieldRef=reference)) == {"A": text}


def test_what_variables_come_from_is_known_beforehand() -> None:
    container = {
        "envFrom": [{"configMapRef": {"name": "a"}}, {"secretRef": {"name": "b"}}],
        "env": [of("X", secretKeyRef={"name": "c", "key": "k"}), {"name": "Y", "value": "y"}],
    }
    assert set(references([container])) == {("configmap", "a"), ("secret", "b"), ("secret", "c")}
