"""Pods and templates that are taken, though something about them is odd."""

from __future__ import annotations

from typing import Any

import pytest

from test.conformance.client import Api
from test.conformance.objects import Space, deployment, pod

pytestmark = pytest.mark.apiserver

Object = dict[str, Any]
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
NOTHING = "a null labelSelector results in matching no pod"


def main(**part: Any) -> Object:
    return {"containers": [{"name": "main", "image": "model:1", **part}]}


CASES: list[tuple[Object, list[str]]] = [
    (
        main(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]),
        [
            (
                'spec.containers[0].env[1]: hides previous definition of "A", which may be dropped '
                "when using apply"
            )
        ],
    ),
    (main(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}]), []),
    (
        {"imagePullSecrets": [{"name": "a"}, {"name": "a"}, {}]},
        [
            'spec.imagePullSecrets[1].name: duplicate name "a"',
            'spec.imagePullSecrets[2].name: invalid empty name ""',
        ],
    ),
    (
        {"affinity": {"podAntiAffinity": {REQUIRED: [{"topologyKey": "zone"}]}}},
        [f"spec.affinity.podAntiAffinity.{REQUIRED}[0].labelSelector: {NOTHING}"],
    ),
    (
        {
            "topologySpreadConstraints": [
                {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
            ]
        },
        [f"spec.topologySpreadConstraints[0].labelSelector: {NOTHING}"],
    ),
    (
        {"nodeSelector": {"beta.kubernetes.io/arch": "amd64"}},
        [
            (
                "spec.nodeSelector[beta.kubernetes.io/arch]: deprecated since v1.14; use "
                '"kubernetes.io/arch" instead'
            )
        ],
    ),
    (
        {
            "volumes": [
                {
                    "name": "v",
                    "configMap": {
                        "name": "c",
                        "items": [{"key": "a", "path": "x"}, {"key": "b", "path": "x/y"}],
                    },
                }
            ]
        },
        ['volume "v" (ConfigMap "c"): overlapping paths: "x/y" with "x"'],
    ),
    (
        {"volumes": [{"name": "v", "projected": {"sources": [{}]}}]},
        ['volume "v" (Projected) has no sources provided'],
    ),
    (
        main(resources={"limits": {"memory": "1500m"}, "requests": {"memory": "1"}}),
        [
            (
                'spec.containers[0].resources.limits[memory]: fractional byte value "1500m" is '
                "invalid, must be an integer"
            )
        ],
    ),
    (
        main(ports=[{"containerPort": 80}, {"containerPort": 80, "hostPort": 8080}]),
        [
            (
                "spec.containers[0].ports[1]: overlapping port definition with "
                "spec.containers[0].ports[0]"
            )
        ],
    ),
    (
        main(ports=[{"containerPort": 80, "hostIP": "1.1.1.1", "name": "web"}]),
        [
            (
                "spec.containers[0].ports[0]: hostIP set without hostPort: {Name:web HostPort:0 "
                "ContainerPort:80 Protocol:TCP HostIP:1.1.1.1}"
            )
        ],
    ),
    (
        {"hostAliases": [{"ip": "2001:DB8::1"}]},
        [
            (
                'spec.hostAliases[0].ip: IPv6 address "2001:DB8::1" should be in RFC 5952 '
                'canonical format ("2001:db8::1")'
            )
        ],
    ),
]


@pytest.mark.parametrize(("spec", "wanted"), CASES)
async def test_an_odd_pod_is_warned_about_when_it_is_made(
    api: Api, ns: Space, spec: Object, wanted: list[str]
) -> None:
    answer = (await api.create(ns.pods(), pod("p", **spec))).ok()
    assert sorted(answer.warnings) == wanted
    again = await api.merge(ns.pods("p"), {"metadata": {"labels": {"a": "b"}}})
    assert again.ok().warnings == ()


@pytest.mark.parametrize(("spec", "wanted"), CASES)
async def test_an_odd_template_is_warned_about_whenever_the_spec_changes(
    api: Api, ns: Space, spec: Object, wanted: list[str]
) -> None:
    below = sorted(w.replace("spec.", "spec.template.spec.") for w in wanted)
    answer = (await api.create(ns.deployments(), deployment("d", **spec))).ok()
    assert sorted(answer.warnings) == below
    label = await api.merge(ns.deployments("d"), {"metadata": {"labels": {"a": "b"}}})
    assert label.ok().warnings == ()
    scaled = await api.merge(ns.deployments("d"), {"spec": {"replicas": 2}})
    assert sorted(scaled.ok().warnings) == below


async def test_a_name_that_is_no_label_is_warned_about(api: Api, ns: Space) -> None:
    answer = (await api.create(ns.pods(), pod("a.b"))).ok()
    assert answer.warnings == (
        (
            "metadata.name: this is used in the Pod's hostname, which can result in surprising "
            "behavior; a DNS label is recommended: [must not contain dots]"
        ),
    )
