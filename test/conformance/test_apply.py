"""Server-side apply: who owns which field, and what follows from it."""

from __future__ import annotations

from typing import Any

import pytest

from test.conformance.client import Answer, Api
from test.conformance.definitions import Defining
from test.conformance.objects import Object, Space, config_map, deployment, lease

pytestmark = pytest.mark.apiserver


def owned(answer: Answer, manager: str, operation: str = "Apply", sub: str = "") -> Any:
    """What a manager owns, as the server wrote it down; None for nothing."""
    for entry in answer.metadata.get("managedFields", []):
        key = (entry["manager"], entry["operation"], entry.get("subresource", ""))
        if key == (manager, operation, sub):
            return entry["fieldsV1"]
    return None


def containers(*found: Object) -> Object:
    body = deployment("d", replicas=None)
    body["spec"]["template"]["spec"]["containers"] = list(found)
    return body


async def test_apply_creates_what_is_missing(api: Api, ns: Space) -> None:
    body = lease("a", {"holderIdentity": "me"}, labels={"x": "1"})
    answer = await api.apply(ns.leases("a"), body, "alpha")
    assert answer.status == 201
    assert owned(answer, "alpha") == {
        "f:metadata": {"f:labels": {"f:x": {}}},
        "f:spec": {"f:holderIdentity": {}},
    }


async def test_applying_the_same_again_changes_nothing(api: Api, ns: Space) -> None:
    body = lease("a", {"holderIdentity": "me"})
    first = await api.apply(ns.leases("a"), body, "alpha")
    second = await api.apply(ns.leases("a"), body, "alpha")
    assert second.status == 200
    assert second.body == first.body


async def test_a_conflict_names_the_other_manager_and_the_field(api: Api, ns: Space) -> None:
    await api.apply(ns.leases("a"), lease("a", {"holderIdentity": "me"}), "alpha")
    answer = await api.apply(ns.leases("a"), lease("a", {"holderIdentity": "you"}), "beta")
    assert (answer.status, answer.reason) == (409, "Conflict")
    assert answer.message == (
        'Apply failed with 1 conflict: conflict with "alpha": .spec.holderIdentity'
    )
    assert answer.body["details"]["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "alpha"',
            "field": ".spec.holderIdentity",
        }
    ]


async def test_a_conflict_lists_every_manager(api: Api, ns: Space) -> None:
    await api.apply(ns.leases("a"), lease("a", {"holderIdentity": "me"}), "alpha")
    patch = {"metadata": {"labels": {"n": "1"}}}
    (await api.merge(ns.leases("a"), patch, fieldManager="gamma")).ok()
    body = lease("a", {"holderIdentity": "you"}, labels={"n": "2"})
    answer = await api.apply(ns.leases("a"), body, "delta")
    assert answer.fields == {".spec.holderIdentity", ".metadata.labels.n"}
    assert 'conflicts with "gamma" using coordination.k8s.io/v1' in answer.message


async def test_force_takes_the_field_away(api: Api, ns: Space) -> None:
    await api.apply(ns.leases("a"), lease("a", {"holderIdentity": "me"}), "alpha")
    answer = await api.apply(
        ns.leases("a"), lease("a", {"holderIdentity": "you"}), "beta", force=True
    )
    assert answer.status == 200
    assert answer.body["spec"]["holderIdentity"] == "you"
    assert owned(answer, "alpha") is None
    assert owned(answer, "beta") == {"f:spec": {"f:holderIdentity": {}}}


async def test_the_same_value_is_shared_without_conflict(api: Api, ns: Space) -> None:
    body = lease("a", {"holderIdentity": "me"})
    for manager in ("alpha", "beta"):
        answer = (await api.apply(ns.leases("a"), body, manager)).ok()
    assert owned(answer, "alpha") == owned(answer, "beta") == {"f:spec": {"f:holderIdentity": {}}}


async def test_a_field_that_is_applied_no_more_goes(api: Api, ns: Space) -> None:
    spec = {"holderIdentity": "me", "leaseDurationSeconds": 10}
    await api.apply(ns.leases("a"), lease("a", spec, labels={"x": "1"}), "alpha")
    answer = await api.apply(ns.leases("a"), lease("a", {"holderIdentity": "me"}), "alpha")
    assert answer.ok().body["spec"] == {"holderIdentity": "me"}
    assert "labels" not in answer.metadata


async def test_a_shared_field_stays_until_the_last_owner_drops_it(api: Api, ns: Space) -> None:
    body = lease("a", {"holderIdentity": "me"})
    for manager in ("alpha", "beta"):
        await api.apply(ns.leases("a"), body, manager)
    first = await api.apply(ns.leases("a"), lease("a"), "alpha")
    last = await api.apply(ns.leases("a"), lease("a"), "beta")
    assert first.ok().body["spec"] == {"holderIdentity": "me"}
    assert last.ok().body["spec"] == {}


async def test_an_update_takes_fields_over_from_an_applier(api: Api, ns: Space) -> None:
    await api.apply(ns.leases("a"), lease("a", {"holderIdentity": "me"}), "alpha")
    patch = {"spec": {"holderIdentity": "you"}}
    answer = await api.merge(ns.leases("a"), patch, fieldManager="editor")
    assert owned(answer, "alpha") is None
    assert owned(answer, "editor", "Update") == {"f:spec": {"f:holderIdentity": {}}}
    refused = await api.apply(ns.leases("a"), lease("a", {"holderIdentity": "me"}), "alpha")
    assert refused.status == 409


async def test_one_name_applies_and_updates_as_two_managers(api: Api, ns: Space) -> None:
    await api.apply(ns.leases("a"), lease("a", {"holderIdentity": "me"}), "alpha")
    patch = {"spec": {"leaseDurationSeconds": 5}}
    answer = await api.merge(ns.leases("a"), patch, fieldManager="alpha")
    assert owned(answer, "alpha") == {"f:spec": {"f:holderIdentity": {}}}
    assert owned(answer, "alpha", "Update") == {"f:spec": {"f:leaseDurationSeconds": {}}}


async def test_containers_are_members_with_a_key(api: Api, ns: Space) -> None:
    main = {"name": "main", "image": "model:1"}
    await api.apply(ns.deployments("d"), containers(main), "alpha")
    both = containers({"name": "side", "image": "side:1"})
    answer = await api.apply(ns.deployments("d"), both, "beta")
    found = answer.ok().body["spec"]["template"]["spec"]["containers"]
    assert {container["name"] for container in found} == {"main", "side"}
    gone = await api.apply(ns.deployments("d"), {k: both[k] for k in both if k != "spec"}, "beta")
    found = gone.ok().body["spec"]["template"]["spec"]["containers"]
    assert [container["name"] for container in found] == ["main"]


async def test_a_member_is_owned_by_its_key(api: Api, ns: Space) -> None:
    ports = [{"containerPort": 80, "protocol": "TCP"}]
    main = {"name": "main", "image": "model:1", "ports": ports}
    answer = await api.apply(ns.deployments("d"), containers(main), "alpha")
    template = owned(answer.ok(), "alpha")["f:spec"]["f:template"]
    member = template["f:spec"]["f:containers"]['k:{"name":"main"}']
    assert member == {
        ".": {},
        "f:name": {},
        "f:image": {},
        "f:ports": {
            'k:{"containerPort":80,"protocol":"TCP"}': {
                ".": {},
                "f:containerPort": {},
                "f:protocol": {},
            }
        },
    }


async def test_an_atomic_list_changes_hands_as_a_whole(api: Api, ns: Space) -> None:
    main = {"name": "main", "image": "model:1", "args": ["a", "b"]}
    await api.apply(ns.deployments("d"), containers(main), "alpha")
    other = containers({"name": "main", "args": ["a", "c"]})
    refused = await api.apply(ns.deployments("d"), other, "beta")
    forced = await api.apply(ns.deployments("d"), other, "beta", force=True)
    assert refused.fields == {'.spec.template.spec.containers[name="main"].args'}
    found = forced.ok().body["spec"]["template"]["spec"]["containers"][0]
    assert found["args"] == ["a", "c"]


async def test_finalizers_are_a_set_that_appliers_share(api: Api, ns: Space) -> None:
    for manager in ("alpha", "beta"):
        body = lease("a", finalizers=[f"example.com/{manager}"])
        answer = await api.apply(ns.leases("a"), body, manager)
    assert set(answer.ok().metadata["finalizers"]) == {"example.com/alpha", "example.com/beta"}
    answer = await api.apply(ns.leases("a"), lease("a"), "alpha")
    assert answer.ok().metadata["finalizers"] == ["example.com/beta"]
    (await api.apply(ns.leases("a"), lease("a"), "beta")).ok()


async def test_duplicate_keys_are_refused(api: Api, ns: Space) -> None:
    main = {"name": "main", "image": "model:1", "env": [{"name": "A"}, {"name": "A"}]}
    answer = await api.apply(ns.deployments("d"), containers(main), "alpha")
    assert answer.status == 500
    assert 'env: duplicate entries for key [name="A"]' in answer.message


async def test_a_container_without_a_name_is_invalid(api: Api, ns: Space) -> None:
    answer = await api.apply(ns.deployments("d"), containers({"image": "model:1"}), "alpha")
    assert answer.status == 422
    assert answer.fields == {"spec.template.spec.containers[0].name"}


async def test_an_unknown_field_is_refused_whatever_the_validation(api: Api, ns: Space) -> None:
    for validation in ("Ignore", "Warn", "Strict"):
        body = lease("a", {"holder": "x"})
        answer = await api.apply(ns.leases("a"), body, "alpha", fieldValidation=validation)
        assert answer.status == 500
        assert answer.message.endswith(".spec.holder: field not declared in schema")


async def test_a_wrong_type_is_refused(api: Api, ns: Space) -> None:
    body = lease("a", {"leaseDurationSeconds": "ten"})
    answer = await api.apply(ns.leases("a"), body, "alpha")
    assert answer.status == 500
    assert "expected numeric (int or float), got string" in answer.message


async def test_apply_needs_a_manager(api: Api, ns: Space) -> None:
    answer = await api.apply(ns.leases("a"), lease("a"), "")
    assert answer.status == 422
    assert answer.message == (
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: '
        "is required for apply patch"
    )


async def test_force_is_for_apply_alone(api: Api, ns: Space) -> None:
    await api.create(ns.leases(), lease("a"))
    answer = await api.merge(ns.leases("a"), {}, force=True)
    assert answer.status == 422
    assert answer.fields == {"force"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"metadata": {"name": "a"}}, "invalid object type: /, Kind="),
        (config_map("a"), "invalid object type: /v1, Kind=ConfigMap"),
        (
            lease("b"),
            "the name of the object (b) does not match the name on the URL (a)",
        ),
        (
            lease("a", managedFields=[{"manager": "x", "operation": "Apply"}]),
            "metadata.managedFields must be nil",
        ),
    ],
)
async def test_an_apply_that_is_malformed_is_a_bad_request(
    api: Api, ns: Space, body: Object, message: str
) -> None:
    answer = await api.apply(ns.leases("a"), body, "alpha")
    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert answer.message == message


async def test_apply_reads_yaml(api: Api, ns: Space) -> None:
    body = (
        "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: a}\n"
        "spec:\n  holderIdentity: yaml\n"
    )
    answer = await api.apply(ns.leases("a"), body, "alpha")
    assert answer.ok().body["spec"] == {"holderIdentity": "yaml"}


async def test_a_dry_run_of_apply_stores_nothing(api: Api, ns: Space) -> None:
    answer = await api.apply(ns.leases("a"), lease("a"), "alpha", dryRun="All")
    assert answer.status == 201
    assert (await api.get(ns.leases("a"))).status == 404


async def test_managed_fields_can_be_cleared(api: Api, ns: Space) -> None:
    body = lease("a", {"holderIdentity": "me"})
    await api.apply(ns.leases("a"), body, "alpha")
    cleared = await api.merge(ns.leases("a"), {"metadata": {"managedFields": [{}]}})
    assert "managedFields" not in cleared.ok().metadata
    other = lease("a", {"holderIdentity": "you"})
    answer = await api.apply(ns.leases("a"), other, "beta")
    assert answer.status == 409
    assert 'conflict with "before-first-apply"' in answer.message


async def test_an_update_keeps_the_fields_of_others(api: Api, ns: Space) -> None:
    """A manager that clears the way of an older update manager: kubectl's migration."""
    created = await api.create(
        ns.leases(), lease("a", {"holderIdentity": "me"}), fieldManager="old"
    )
    entry = created.metadata["managedFields"][0] | {"manager": "new", "operation": "Apply"}
    answer = await api.json_patch(
        ns.leases("a"),
        [
            {"op": "replace", "path": "/metadata/managedFields", "value": [entry]},
            {
                "op": "replace",
                "path": "/metadata/resourceVersion",
                "value": created.version,
            },
        ],
    )
    assert [(m["manager"], m["operation"]) for m in answer.ok().metadata["managedFields"]] == [
        ("new", "Apply")
    ]
    emptied = await api.apply(ns.leases("a"), lease("a"), "new")
    assert emptied.ok().body["spec"] == {}


async def test_status_is_owned_under_its_own_name(api: Api, ns: Space) -> None:
    (await api.create(ns.deployments(), deployment("d"))).ok()
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "status": {"replicas": 3},
    }
    answer = await api.apply(ns.deployments("d", "status"), body, "alpha")
    assert answer.ok().body["status"] == {"replicas": 3}
    assert owned(answer, "alpha", sub="status") == {"f:status": {"f:replicas": {}}}
    assert owned(answer, "alpha") is None


async def test_apply_to_the_status_of_what_is_missing_is_not_found(api: Api, ns: Space) -> None:
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}}
    answer = await api.apply(ns.deployments("d", "status"), body, "alpha")
    assert answer.status == 404


async def test_the_writer_of_a_scale_owns_the_replicas(api: Api, ns: Space) -> None:
    (await api.apply(ns.deployments("d"), deployment("d", replicas=1), "alpha")).ok()
    patch = {"spec": {"replicas": 3}}
    (await api.merge(ns.deployments("d", "scale"), patch, fieldManager="scaler")).ok()
    answer = await api.apply(ns.deployments("d"), deployment("d", replicas=1), "alpha")
    assert answer.status == 409
    assert answer.message.startswith(
        'Apply failed with 1 conflict: conflict with "scaler" with subresource "scale" using '
    )
    assert answer.fields == {".spec.replicas"}


LISTS = {
    "type": "object",
    "properties": {
        "atomic": {"type": "array", "items": {"type": "string"}},
        "set": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "map": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["key"],
            "items": {
                "type": "object",
                "required": ["key"],
                "properties": {"key": {"type": "string"}, "value": {"type": "integer"}},
            },
        },
        "whole": {
            "type": "object",
            "x-kubernetes-map-type": "atomic",
            "additionalProperties": {"type": "string"},
        },
    },
}


async def test_a_custom_resource_is_applied_by_its_list_types(api: Api, define: Defining) -> None:
    widgets = await define(LISTS)
    first = widgets.new("a", {"set": ["x"], "map": [{"key": "k", "value": 1}]})
    second = widgets.new("a", {"set": ["y"], "map": [{"key": "l", "value": 2}]})
    (await api.apply(widgets.path("a"), first, "alpha")).ok()
    answer = await api.apply(widgets.path("a"), second, "beta")
    assert answer.ok().body["spec"] == {
        "set": ["x", "y"],
        "map": [{"key": "k", "value": 1}, {"key": "l", "value": 2}],
    }


async def test_an_atomic_part_of_a_custom_resource_conflicts_as_a_whole(
    api: Api, define: Defining
) -> None:
    widgets = await define(LISTS)
    first = widgets.new("a", {"atomic": ["x"], "whole": {"a": "1"}})
    second = widgets.new("a", {"atomic": ["x", "y"], "whole": {"b": "1"}})
    (await api.apply(widgets.path("a"), first, "alpha")).ok()
    answer = await api.apply(widgets.path("a"), second, "beta")
    assert answer.status == 409
    assert answer.fields == {".spec.atomic", ".spec.whole"}
