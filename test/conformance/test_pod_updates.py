"""What may change in a pod, by its own path and by those of its parts, and in which words not."""

from __future__ import annotations

from typing import Any

import pytest

from test.conformance.client import Api
from test.conformance.objects import Space, pod

pytestmark = pytest.mark.apiserver

Object = dict[str, Any]
SIDECAR = {"name": "side", "image": "s:1", "restartPolicy": "Always"}
TOKEN = {"serviceAccountToken": {"path": "token"}}
FULL: Object = {
    "serviceAccountName": "default",
    "initContainers": [SIDECAR],
    "volumes": [{"name": "t", "projected": {"sources": [TOKEN]}}],
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
}
LOST = [
    {
        "key": f"node.kubernetes.io/{word}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": 300,
    }
    for word in ("not-ready", "unreachable")
]


async def test_the_manifest_that_made_a_pod_changes_nothing(api: Api, ns: Space) -> None:
    manifest = pod("p", **FULL)
    made = (await api.create(ns.pods(), manifest)).ok()
    assert (await api.replace(ns.pods("p"), manifest)).ok().version == made.version
    applied = (await api.apply(ns.pods("p"), manifest, "m", force=True)).ok()
    assert applied.body["spec"] == made.body["spec"]


async def test_a_refused_change_shows_the_difference(api: Api, ns: Space) -> None:
    await api.create(ns.pods(), pod("p"))
    answer = await api.strategic(
        ns.pods("p"), {"spec": {"containers": [{"name": "main", "command": ["<a>"]}]}}
    )
    assert answer.status == 422
    assert answer.fields == {"spec"}
    head, _, difference = answer.message.partition("\n")
    assert head.endswith(
        "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
        "`spec.tolerations` (only additions to existing tolerations),"
        "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously "
        "negative)"
    )
    assert difference == (
        "@@ -5,7 +5,9 @@\n"
        "   {\n"
        '    "Name": "main",\n'
        '    "Image": "model:1",\n'
        '-   "Command": null,\n'
        '+   "Command": [\n'
        '+    "\\u003ca\\u003e"\n'
        "+   ],\n"
        '    "Args": null,\n'
        '    "WorkingDir": "",\n'
        '    "Ports": null,\n'
    )


@pytest.mark.parametrize(
    ("tolerations", "status"),
    [
        ([{"key": "gpu", "operator": "Exists"}, {"key": "new", "operator": "Exists"}], 200),
        ([{"key": "gpu", "operator": "Exists"}] * 2, 200),
        ([], 422),
        ([{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}], 422),
    ],
)
async def test_tolerations_are_added_but_never_taken_away(
    api: Api, ns: Space, tolerations: list[Object], status: int
) -> None:
    await api.create(ns.pods(), pod("p", **FULL))
    answer = await api.merge(ns.pods("p"), {"spec": {"tolerations": [*tolerations, *LOST]}})
    assert answer.status == status
    if status == 422:
        assert answer.fields == {"spec.tolerations"}
        assert answer.message.endswith(
            "Forbidden: existing toleration can not be modified except its tolerationSeconds"
        )


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (50, ""),
        (200, "Invalid value: 200: must be less than or equal to previous value"),
        (None, "Invalid value: null: must not update from a positive integer to nil value"),
    ],
)
async def test_a_deadline_only_comes_closer(
    api: Api, ns: Space, seconds: int | None, says: str
) -> None:
    await api.create(ns.pods(), pod("p", activeDeadlineSeconds=100))
    answer = await api.merge(ns.pods("p"), {"spec": {"activeDeadlineSeconds": seconds}})
    assert answer.message.partition("spec.activeDeadlineSeconds: ")[2] == says


async def test_a_gated_pod_may_become_choosier_about_nodes(api: Api, ns: Space) -> None:
    gates = [{"name": "a"}, {"name": "b"}]
    await api.create(ns.pods(), pod("p", schedulingGates=gates, nodeSelector={"k": "v"}))
    more = await api.merge(ns.pods("p"), {"spec": {"nodeSelector": {"disk": "fast"}}})
    assert more.ok().body["spec"]["nodeSelector"] == {"k": "v", "disk": "fast"}
    less = await api.merge(ns.pods("p"), {"spec": {"nodeSelector": {"k": None}}})
    assert less.fields == {"spec.nodeSelector"}
    regated = await api.merge(
        ns.pods("p"), {"spec": {"schedulingGates": [{"name": "a"}, {"name": "new"}]}}
    )
    assert regated.fields == {"spec.schedulingGates[1].name"}
    (await api.merge(ns.pods("p"), {"spec": {"schedulingGates": None}})).ok()
    late = await api.merge(ns.pods("p"), {"spec": {"nodeSelector": {"late": "x"}}})
    assert late.fields == {"spec"}


@pytest.mark.parametrize(
    ("part", "fault"),
    [
        ({}, ""),
        ({"ports": [{"containerPort": 1}]}, "ports"),
        ({"resources": {"limits": {"cpu": "1"}}}, "resources"),
        ({"livenessProbe": {"exec": {"command": ["a"]}}}, "livenessProbe"),
        ({"targetContainerName": "nobody"}, "targetContainerName"),
    ],
)
async def test_containers_for_debugging_are_added_beside_the_spec(
    api: Api, ns: Space, part: Object, fault: str
) -> None:
    await api.create(ns.pods(), pod("p"))
    added = {"spec": {"ephemeralContainers": [{"name": "debug", "image": "d:1", **part}]}}
    answer = await api.strategic(ns.pods("p", "ephemeralcontainers"), added)
    assert answer.fields == ({f"spec.ephemeralContainers[0].{fault}"} if fault else set())
    if not fault:
        gone = await api.merge(
            ns.pods("p", "ephemeralcontainers"), {"spec": {"ephemeralContainers": None}}
        )
        assert gone.message.endswith('existing ephemeral containers "debug" may not be removed\n')


@pytest.mark.parametrize(
    ("resources", "says"),
    [
        ({"requests": {"cpu": "150m"}}, ""),
        ({"requests": {"ephemeral-storage": "1Gi"}}, "only cpu and memory resources are mutable"),
        (
            {"limits": {"cpu": "200m", "memory": "1Gi"}, "requests": {"cpu": "200m"}},
            "Pod QOS Class may not change as a result of resizing",
        ),
    ],
)
async def test_a_pod_is_resized_in_cpu_and_memory(
    api: Api, ns: Space, resources: Object, says: str
) -> None:
    given = {"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"cpu": "200m"}}
    container = {"name": "main", "image": "model:1", "resources": given}
    await api.create(ns.pods(), pod("p", containers=[container]))
    change = {"spec": {"containers": [{"name": "main", "resources": resources}]}}
    answer = await api.strategic(ns.pods("p", "resize"), change)
    assert answer.message.endswith(says)
    assert answer.status == (422 if says else 200)


async def test_an_ended_container_does_not_come_back(api: Api, ns: Space) -> None:
    await api.create(ns.pods(), pod("p", restartPolicy="Never"))

    def state(**found: Object) -> Object:
        entry = {"name": "main", "image": "", "imageID": "", "ready": False, "restartCount": 0}
        return {"status": {"containerStatuses": [{**entry, "state": found}]}}

    (await api.merge(ns.pods("p", "status"), state(terminated={"exitCode": 1}))).ok()
    answer = await api.merge(ns.pods("p", "status"), state(running={}))
    assert answer.fields == {"status.containerStatuses[0].state"}


@pytest.mark.parametrize(
    ("status", "field"),
    [
        ({"qosClass": "Guaranteed"}, "status.qosClass"),
        ({"podIPs": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]}, "status.podIPs"),
        ({"hostIP": "1.1.1.1", "hostIPs": [{"ip": "2.2.2.2"}]}, "status.hostIPs[0].ip"),
        ({"nominatedNodeName": "No Node"}, "status.nominatedNodeName"),
        ({"conditions": [{"type": "a b", "status": "True"}]}, "status.conditions[0].Type"),
    ],
)
async def test_the_status_of_a_pod_is_checked(
    api: Api, ns: Space, status: Object, field: str
) -> None:
    await api.create(ns.pods(), pod("p"))
    answer = await api.merge(ns.pods("p", "status"), {"status": status})
    assert answer.fields == {field}
