"""Admission webhooks: what they are asked, what they may change, what they refuse."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from test.conformance.client import Api
from test.conformance.hooks import (
    ADMISSION,
    Hook,
    Verdict,
    allow,
    configuration,
    patching,
    serving,
)
from test.conformance.objects import Object, Space, lease

pytestmark = pytest.mark.apiserver

LEASES = "coordination.k8s.io"
VALIDATING = ("ValidatingWebhookConfiguration", "validatingwebhookconfigurations")
MUTATING = ("MutatingWebhookConfiguration", "mutatingwebhookconfigurations")

Installing = Callable[..., AbstractAsyncContextManager[Hook]]


def deny(_: Object) -> Object:
    return {"allowed": False, "status": {"message": "not today", "code": 403}}


@pytest.fixture
def install(api: Api, ns: Space, tmp_path: Path) -> Installing:
    """Registers a webhook for the leases of this test and waits until it is asked."""

    @asynccontextmanager
    async def installed(
        kinds: tuple[str, str], verdict: Verdict, **options: Any
    ) -> AsyncIterator[Hook]:
        kind, plural = kinds
        async with serving(tmp_path, verdict) as hook:
            client = options.pop("client", None) or hook.config
            body = configuration(kind, ns.name, client, LEASES, **options)
            (await api.create(f"{ADMISSION}/{plural}", body)).ok()
            try:
                if client is hook.config:
                    probe = lease("probe")
                    await api.repeat(
                        lambda: api.create(ns.leases(), probe, dryRun="All"),
                        lambda _: hook.asked,
                    )
                    hook.asked.clear()
                yield hook
            finally:
                await api.delete(f"{ADMISSION}/{plural}/{ns.name}")

    return installed


async def test_a_validating_webhook_refuses(api: Api, ns: Space, install: Installing) -> None:
    async with install(VALIDATING, deny):
        answer = await api.create(ns.leases(), lease("a"))
    assert (answer.status, answer.reason) == (403, "")
    assert answer.message == (
        f'admission webhook "{ns.name}.example.com" denied the request: not today'
    )


async def test_a_refusal_carries_its_own_code_and_reason(
    api: Api, ns: Space, install: Installing
) -> None:
    def verdict(_: Object) -> Object:
        return {"allowed": False, "status": {"code": 418, "reason": "Odd", "message": "tea"}}

    async with install(VALIDATING, verdict):
        answer = await api.create(ns.leases(), lease("a"))
    assert (answer.status, answer.reason) == (418, "Odd")
    assert answer.message.endswith("denied the request: tea")


async def test_a_refusal_without_words_says_so(api: Api, ns: Space, install: Installing) -> None:
    async with install(VALIDATING, lambda _: {"allowed": False}):
        answer = await api.create(ns.leases(), lease("a"))
    assert (answer.status, answer.reason) == (400, "")
    assert answer.message == (
        f'admission webhook "{ns.name}.example.com" denied the request without explanation'
    )


async def test_a_webhook_is_told_what_is_written(api: Api, ns: Space, install: Installing) -> None:
    async with install(VALIDATING, allow) as hook:
        created = (await api.create(ns.leases(), lease("a", {"holderIdentity": "x"}))).ok()
        (await api.merge(ns.leases("a"), {"spec": {"holderIdentity": "y"}})).ok()
    creation, update = hook.asked
    assert creation["operation"] == "CREATE"
    assert creation["name"] == "a"
    assert creation["namespace"] == ns.name
    assert creation["kind"] == {"group": LEASES, "version": "v1", "kind": "Lease"}
    assert creation["resource"] == {"group": LEASES, "version": "v1", "resource": "leases"}
    assert creation["oldObject"] is None
    assert creation["dryRun"] is False
    assert creation["userInfo"]["username"]
    assert creation["object"]["spec"] == {"holderIdentity": "x"}
    assert creation["object"]["metadata"]["uid"] == created.metadata["uid"]
    assert update["operation"] == "UPDATE"
    assert update["oldObject"]["spec"] == {"holderIdentity": "x"}
    assert update["object"]["spec"] == {"holderIdentity": "y"}


async def test_a_webhook_may_warn(api: Api, ns: Space, install: Installing) -> None:
    def verdict(_: Object) -> Object:
        return {"allowed": True, "warnings": ["mind the gap"]}

    async with install(VALIDATING, verdict):
        answer = await api.create(ns.leases(), lease("a"))
    assert answer.status == 201
    assert answer.warnings == ("mind the gap",)


async def test_a_mutating_webhook_changes_what_is_stored(
    api: Api, ns: Space, install: Installing
) -> None:
    operation = {"op": "add", "path": "/metadata/labels", "value": {"by": "hook"}}
    async with install(MUTATING, patching(operation)):
        created = await api.create(ns.leases(), lease("a"))
    assert created.ok().metadata["labels"] == {"by": "hook"}
    assert (await api.get(ns.leases("a"))).metadata["labels"] == {"by": "hook"}


async def test_what_a_mutating_webhook_makes_is_validated(
    api: Api, ns: Space, install: Installing
) -> None:
    operation = {"op": "add", "path": "/spec/leaseDurationSeconds", "value": -1}
    async with install(MUTATING, patching(operation)):
        answer = await api.create(ns.leases(), lease("a"))
    assert answer.status == 422
    assert answer.fields == {"spec.leaseDurationSeconds"}


async def test_a_webhook_that_cannot_be_reached_fails_the_write(
    api: Api, ns: Space, install: Installing
) -> None:
    nowhere = {"url": "https://127.0.0.1:1/"}
    async with install(VALIDATING, allow, client=nowhere):
        answer = await api.repeat(
            lambda: api.create(ns.leases(), lease("a"), dryRun="All"),
            lambda found: found.status != 201,
        )
    assert (answer.status, answer.reason) == (500, "InternalError")
    assert f'failed calling webhook "{ns.name}.example.com"' in answer.message


async def test_a_failing_webhook_can_be_ignored(api: Api, ns: Space, install: Installing) -> None:
    def broken(_: Object) -> Object:
        raise RuntimeError("the hook breaks")

    async with install(VALIDATING, allow, failurePolicy="Ignore") as hook:
        hook.verdict = broken
        answer = await api.create(ns.leases(), lease("a"))
    assert answer.status == 201
    assert len(hook.asked) == 1


async def test_a_webhook_looks_at_the_objects_it_selects(
    api: Api, ns: Space, install: Installing
) -> None:
    selector = {"matchExpressions": [{"key": "free", "operator": "DoesNotExist"}]}
    async with install(VALIDATING, deny, objectSelector=selector):
        free = await api.create(ns.leases(), lease("a", labels={"free": "yes"}))
        bound = await api.create(ns.leases(), lease("b"))
    assert (free.status, bound.status) == (201, 403)


async def test_match_conditions_decide_whether_a_webhook_is_asked(
    api: Api, ns: Space, install: Installing
) -> None:
    conditions = [{"name": "not-a", "expression": "object.metadata.name != 'a'"}]
    async with install(VALIDATING, deny, matchConditions=conditions):
        spared = await api.create(ns.leases(), lease("a"))
        asked = await api.create(ns.leases(), lease("b"))
    assert (spared.status, asked.status) == (201, 403)


async def test_a_webhook_must_be_free_of_side_effects(api: Api, ns: Space) -> None:
    body = configuration(
        VALIDATING[0], ns.name, {"url": "https://127.0.0.1:1/"}, LEASES, sideEffects="Some"
    )
    answer = await api.create(f"{ADMISSION}/{VALIDATING[1]}", body)
    assert answer.status == 422
    assert answer.fields == {"webhooks[0].sideEffects"}


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"name": "short.name"}, "name"),
        ({"timeoutSeconds": 31}, "timeoutSeconds"),
        ({"failurePolicy": "Odd"}, "failurePolicy"),
        ({"admissionReviewVersions": ["v9"]}, "admissionReviewVersions"),
        ({"clientConfig": {"url": "http://127.0.0.1/"}}, "clientConfig.url"),
        ({"clientConfig": {}}, "clientConfig"),
        ({"rules": [{}]}, "rules[0].operations"),
        (
            {"matchConditions": [{"name": "a", "expression": "nope"}]},
            "matchConditions[0].expression",
        ),
        ({"matchConditions": [{"name": "a", "expression": "1"}]}, "matchConditions[0].expression"),
    ],
)
async def test_a_webhook_configuration_is_checked(
    api: Api, ns: Space, options: Object, field: str
) -> None:
    nowhere = {"url": "https://127.0.0.1:1/"}
    body = configuration(VALIDATING[0], ns.name, nowhere, LEASES, **options)
    answer = await api.create(f"{ADMISSION}/{VALIDATING[1]}", body, dryRun="All")
    assert answer.status == 422
    assert f"webhooks[0].{field}" in answer.fields


@pytest.mark.parametrize(
    ("expression", "asked"),
    [
        ("request.operation == 'CREATE' && request.userInfo.username != ''", True),
        ("has(object.metadata.labels)", False),
        ("oldObject == null", True),
        ("authorizer.group('').resource('configmaps').check('get').allowed()", True),
        ("authorizer.serviceAccount('default', 'x').path('/x').check('get').allowed()", False),
        ("authorizer.requestResource.check('create').allowed()", True),
    ],
)
async def test_a_match_condition_knows_the_request(
    api: Api, ns: Space, install: Installing, expression: str, asked: bool
) -> None:
    conditions = [{"name": "it", "expression": f"object.metadata.name == 'probe' || {expression}"}]
    async with install(VALIDATING, deny, matchConditions=conditions):
        answer = await api.create(ns.leases(), lease("a"))
    assert answer.status == (403 if asked else 201)


async def test_a_match_condition_that_fails_refuses_the_write(
    api: Api, ns: Space, install: Installing
) -> None:
    text = "object.metadata.name == 'probe' || object.spec.nope == 1"
    async with install(VALIDATING, allow, matchConditions=[{"name": "it", "expression": text}]):
        answer = await api.create(ns.leases(), lease("a", {"holderIdentity": "x"}))
    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert answer.message.endswith(f"expression '{text}' resulted in error: no such key: nope")


@pytest.mark.parametrize(
    ("response", "message"),
    [
        ({"uid": "other"}, 'got "other"'),
        ({"allowed": "yes"}, "AdmissionResponse.response.allowed of type bool"),
        ({"patchType": "JSONPatch"}, "validating webhook may not return response.patchType"),
    ],
)
async def test_an_answer_must_make_sense(
    api: Api, ns: Space, install: Installing, response: Object, message: str
) -> None:
    async with install(VALIDATING, allow) as hook:
        hook.verdict = lambda _: {"allowed": True} | response
        answer = await api.create(ns.leases(), lease("a"))
    assert (answer.status, answer.reason) == (500, "InternalError")
    assert f'failed calling webhook "{ns.name}.example.com"' in answer.message
    assert message in answer.message


async def test_a_deletion_cannot_be_patched(api: Api, ns: Space, install: Installing) -> None:
    operation = {"op": "add", "path": "/metadata/labels", "value": {"by": "hook"}}
    (await api.create(ns.leases(), lease("a"))).ok()
    rule = {"apiGroups": [LEASES], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}
    async with install(MUTATING, patching(operation), rules=[rule]):
        answer = await api.delete(ns.leases("a"))
    assert answer.status == 500
    assert "attempted to modify the object, which is not supported" in answer.message
