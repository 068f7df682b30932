"""The hashes in generated names are those of the real controllers."""

from __future__ import annotations

from typing import Any

import pytest

from kaito.local.workloads.godump import dump
from kaito.local.workloads.hashes import fnv32, fnv32a, safe_name, template_hash
from kaito.runtime import Object

PLAIN: Object = {
    "metadata": {"labels": {"app": "d"}},
    "spec": {
        "containers": [
            {
                "name": "main",
                "image": "model:1",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "imagePullPolicy": "IfNotPresent",
            }
        ],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
    },
}
PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
TERM = {
    "labelSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["x"]}]},
    "topologyKey": "kubernetes.io/hostname",
}
RICH: Object = {
    "metadata": {
        "labels": {"app": "x", "Tier": "\u00e9"},
        "annotations": {"a.io/b": "c <d>"},
    },
    "spec": {
        "volumes": [
            {
                "name": "c",
                "configMap": {
                    "name": "m",
                    "items": [{"key": "k", "path": "p", "mode": 0}],
                    "defaultMode": 420,
                },
            },
            {"name": "e", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
            {
                "name": "p",
                "projected": {
                    "sources": [
                        {"serviceAccountToken": {"expirationSeconds": 3600, "path": "t"}},
                        {
                            "downwardAPI": {
                                "items": [
                                    {
                                        "path": "l",
                                        "fieldRef": {
                                            "apiVersion": "v1",
                                            "fieldPath": "metadata.labels",
                                        },
                                    }
                                ]
                            }
                        },
                    ],
                    "defaultMode": 420,
                },
            },
        ],
        "initContainers": [
            {"name": "i", "image": "busybox", "resources": {}, "restartPolicy": "Always"}
        ],
        "containers": [
            {
                "name": "m",
                "image": "nginx:1",
                "command": ["sh", "-c", "a b"],
                "ports": [{"name": "http", "containerPort": 80, "protocol": "TCP"}],
                "envFrom": [{"prefix": "P_", "secretRef": {"name": "s", "optional": True}}],
                "env": [
                    {"name": "A", "value": "b"},
                    {
                        "name": "N",
                        "valueFrom": {
                            "resourceFieldRef": {
                                "containerName": "m",
                                "resource": "limits.cpu",
                                "divisor": "0",
                            }
                        },
                    },
                ],
                "resources": {
                    "limits": {
                        "cpu": "1500m",
                        "memory": "8Gi",
                        "nvidia.com/gpu": "1",
                        "storage": "100Ti",
                    },
                    "requests": {"cpu": "0", "memory": "512Mi"},
                },
                "volumeMounts": [{"name": "c", "readOnly": True, "mountPath": "/c"}],
                "livenessProbe": {
                    "httpGet": {"path": "/health", "port": "http", "scheme": "HTTP"},
                    **PROBE,
                },
                "readinessProbe": {"tcpSocket": {"port": 80}, **PROBE},
                "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "imagePullPolicy": "IfNotPresent",
                "securityContext": {
                    "capabilities": {"drop": ["ALL"]},
                    "allowPrivilegeEscalation": False,
                },
            }
        ],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "hostNetwork": False,
        "securityContext": {"runAsUser": 1000, "fsGroup": 0},
        "affinity": {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 100, "podAffinityTerm": TERM}
                ]
            }
        },
        "schedulerName": "default-scheduler",
        "tolerations": [
            {"key": "sku", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"},
            {
                "key": "node.kubernetes.io/not-ready",
                "operator": "Exists",
                "tolerationSeconds": 300,
            },
        ],
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"app": "x"}},
            }
        ],
    },
}


@pytest.mark.parametrize(
    ("template", "expected"), [(PLAIN, "75b694578c"), (RICH, "dd69dc8dc")], ids=["plain", "rich"]
)
def test_a_template_has_the_hash_that_a_real_cluster_gives_it(
    template: Object, expected: str
) -> None:
    assert template_hash(template) == expected


def test_the_order_of_a_template_does_not_count_and_collisions_do() -> None:
    assert template_hash(dict(reversed(PLAIN.items()))) == template_hash(PLAIN)
    assert len({template_hash(PLAIN), template_hash(PLAIN, 0), template_hash(PLAIN, 1)}) == 3


def test_what_is_empty_counts_as_unset() -> None:
    spec = {**PLAIN["spec"], "volumes": [], "nodeSelector": {}}
    assert template_hash({**PLAIN, "spec": spec}) == template_hash(PLAIN)


def amount(value: int, scale: int, text: str, style: str, decimal: str = "<nil>") -> str:
    return (
        f"{{i:(resource.int64Amount){{value:(int64){value} scale:(resource.Scale){scale}}} "
        f"d:(resource.infDecAmount){{Dec:(*inf.Dec){decimal}}} s:(string){text} "
        f"Format:(resource.Format){style}}}"
    )


def decimal(words: str, scale: int) -> str:
    number = f"(big.Int){{neg:(bool)false abs:(big.nat)[{words}]}}"
    return f"{{unscaled:{number} scale:(inf.Scale){scale}}}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("0", amount(0, 0, "0", "DecimalSI")),
        ("1500m", amount(1500, -3, "1500m", "DecimalSI")),
        ("1e3", amount(1, 3, "1e3", "DecimalExponent")),
        ("1k", amount(1, 3, "1k", "DecimalSI")),
        ("7Gi", amount(7 << 30, 0, "7Gi", "BinarySI")),
        ("8Gi", amount(8 << 30, 0, "", "BinarySI")),
        ("100Ti", amount(0, 0, "", "BinarySI", decimal("8568098291072368640 5960", 9))),
        (
            str(2**63 - 1),
            amount(0, 0, "", "DecimalSI", decimal("18446744072709551616 499999999", 9)),
        ),
    ],
)
def test_a_quantity_shows_its_inner_form(text: str, shown: str) -> None:
    spec: Any = {"containers": [{"name": "m", "resources": {"limits": {"cpu": text}}}]}
    assert f"Limits:(v1.ResourceList)map[cpu:{shown}]" in dump({"spec": spec})


def test_the_names_of_numbers_spell_nothing() -> None:
    assert not set(safe_name(123456789)) & set("aeiou013")


def test_the_two_orders_of_hashing_are_told_apart() -> None:
    assert (fnv32(b"a"), fnv32a(b"a")) == (0x050C5D7E, 0xE40C292C)
