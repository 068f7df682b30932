"""Namespaces that hold their pods to a level of pod security."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from test.conformance.client import Answer, Api
from test.conformance.objects import Space, pod

pytestmark = pytest.mark.apiserver

Object = dict[str, Any]
PREFIX = "pod-security.kubernetes.io/"
SAFE = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
UNSAFE = (
    'allowPrivilegeEscalation != false (container "main" must set '
    "securityContext.allowPrivilegeEscalation=false), "
    'unrestricted capabilities (container "main" must set '
    'securityContext.capabilities.drop=["ALL"]), '
    'runAsNonRoot != true (pod or container "main" must set securityContext.runAsNonRoot=true), '
    'seccompProfile (pod or container "main" must set securityContext.seccompProfile.type to '
    '"RuntimeDefault" or "Localhost")'
)


def made(name: str = "p", context: Object | None = None, **spec: Any) -> Object:
    main = {"name": "main", "image": "model:1", "securityContext": context or {}}
    return pod(name, **{"containers": [main], **spec})


def refused(answer: Answer, reason: str, message: str) -> None:
    assert (answer.reason, answer.message) == (reason, message)


async def ask(api: Api, ns: Space, **labels: str | None) -> tuple[str, ...]:
    """Label the namespace; the warnings of that."""
    changed = {PREFIX + mode.replace("_", "-"): value for mode, value in labels.items()}
    path = f"/api/v1/namespaces/{ns.name}"
    answer = (await api.merge(path, {"metadata": {"labels": changed}})).ok()
    await asyncio.sleep(0.3)  # until a real server has seen its own write
    return answer.warnings


async def test_a_plain_pod_is_refused_where_pods_are_restricted(api: Api, ns: Space) -> None:
    await ask(api, ns, enforce="restricted")
    refused(
        await api.create(ns.pods(), made()),
        "Forbidden",
        f'pods "p" is forbidden: violates PodSecurity "restricted:latest": {UNSAFE}',
    )
    assert (await api.create(ns.pods(), made(context=SAFE))).ok().warnings == ()


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"hostNetwork": True}, "host namespaces (hostNetwork=true)"),
        (
            {"volumes": [{"name": "disk", "hostPath": {"path": "/"}}]},
            'hostPath volumes (volume "disk")',
        ),
        (
            {"context": {"privileged": True}},
            'privileged (container "main" must not set securityContext.privileged=true)',
        ),
        (
            {"context": {"capabilities": {"add": ["SYS_ADMIN", "CHOWN", "NET_RAW"]}}},
            (
                'non-default capabilities (container "main" must not include "NET_RAW", '
                '"SYS_ADMIN" in securityContext.capabilities.add)'
            ),
        ),
        (
            {
                "securityContext": {"seccompProfile": {"type": "Unconfined"}},
                "context": {"seccompProfile": {"type": "Unconfined"}},
            },
            (
                'seccompProfile (pod and container "main" must not set '
                'securityContext.seccompProfile.type to "Unconfined")'
            ),
        ),
    ],
)
async def test_what_the_baseline_refuses(api: Api, ns: Space, spec: Object, says: str) -> None:
    await ask(api, ns, enforce="baseline")
    assert (await api.create(ns.pods(), made("plain"))).ok().warnings == ()
    refused(
        await api.create(ns.pods(), made(**spec)),
        "Forbidden",
        f'pods "p" is forbidden: violates PodSecurity "baseline:latest": {says}',
    )


async def test_pods_and_their_templates_only_warn_where_nothing_is_enforced(
    api: Api, ns: Space
) -> None:
    await ask(api, ns, warn="restricted", warn_version="v1.30")
    told = (f'would violate PodSecurity "restricted:v1.30": {UNSAFE}',)
    assert (await api.create(ns.pods(), made())).ok().warnings == told
    labels = {"app": "x"}
    template = {"metadata": {"labels": labels}, "spec": made()["spec"]}
    deployment = {
        "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }
    path = ns.path("/apis/apps/v1", "deployments")
    assert (await api.create(path, deployment)).ok().warnings == told


async def test_a_stricter_level_tells_of_the_pods_that_are_there(api: Api, ns: Space) -> None:
    for name in ("b", "a"):
        (await api.create(ns.pods(), made(name, hostPID=True))).ok()
    (await api.create(ns.pods(), made("c"))).ok()
    await asyncio.sleep(0.3)
    assert await ask(api, ns, enforce="baseline") == (
        (
            f'existing pods in namespace "{ns.name}" violate the new PodSecurity enforce level '
            '"baseline:latest"'
        ),
        "a (and 1 other pod): host namespaces",
    )
    # Pods that are there may change in anything but their images.
    change = {"metadata": {"labels": {"x": "y"}}}
    (await api.merge(ns.pods("a"), change)).ok()
    assert await ask(api, ns, enforce="privileged") == ()


async def test_labels_that_name_no_level(api: Api, ns: Space) -> None:
    labels = {f"{PREFIX}enforce": "strict", f"{PREFIX}warn-version": "1.30"}
    answer = await api.merge(f"/api/v1/namespaces/{ns.name}", {"metadata": {"labels": labels}})
    refused(
        answer,
        "Invalid",
        f'Namespace "{ns.name}" is invalid: [metadata.labels[{PREFIX}enforce]: Invalid value: '
        '"strict": must be one of privileged, baseline, restricted, '
        f'metadata.labels[{PREFIX}warn-version]: Invalid value: "1.30": '
        'must be "latest" or "v1.x"]',
    )
