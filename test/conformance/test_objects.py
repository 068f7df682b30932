"""Create, get, replace and delete, and the rules about names and versions."""

from __future__ import annotations

import pytest

from test.conformance.client import Api
from test.conformance.objects import Space, config_map, deployment, lease, secret

pytestmark = pytest.mark.apiserver

NOBODY = "00000000-0000-0000-0000-000000000000"


async def test_a_created_object_carries_what_the_server_owns(api: Api, ns: Space) -> None:
    answer = await api.create(ns.configmaps(), config_map("a", {"k": "v"}))
    assert answer.status == 201
    assert answer.body["kind"] == "ConfigMap"
    assert answer.body["apiVersion"] == "v1"
    assert answer.metadata["namespace"] == ns.name
    assert {"uid", "resourceVersion", "creationTimestamp"} <= answer.metadata.keys()
    assert "generation" not in answer.metadata


async def test_get_answers_what_create_answered(api: Api, ns: Space) -> None:
    created = await api.create(ns.configmaps(), config_map("a", {"k": "v"}))
    assert (await api.get(ns.configmaps("a"))).body == created.body


async def test_the_default_field_manager_is_the_user_agent_up_to_the_slash(
    api: Api, ns: Space
) -> None:
    answer = await api.create(ns.configmaps(), config_map("a"))
    plain = await api.create(ns.configmaps(), config_map("b", {"k": "v"}))
    assert "managedFields" not in answer.metadata
    assert [m["manager"] for m in plain.metadata["managedFields"]] == ["conformance"]


async def test_a_second_create_already_exists(api: Api, ns: Space) -> None:
    await api.create(ns.configmaps(), config_map("a"))
    answer = await api.create(ns.configmaps(), config_map("a", {"k": "other"}))
    assert (answer.status, answer.reason) == (409, "AlreadyExists")
    assert answer.message == 'configmaps "a" already exists'
    assert answer.body["details"] == {"kind": "configmaps", "name": "a"}


async def test_what_is_missing_is_not_found_for_every_verb(api: Api, ns: Space) -> None:
    for method, body in (
        ("GET", None),
        ("DELETE", None),
        ("PUT", config_map("a")),
    ):
        answer = await api.call(method, ns.configmaps("a"), body)
        assert (answer.status, answer.reason) == (404, "NotFound"), method
        assert answer.message == 'configmaps "a" not found'
    patched = await api.merge(ns.configmaps("a"), {"data": {"k": "v"}})
    assert patched.status == 404


async def test_a_status_names_kind_group_and_object(api: Api, ns: Space) -> None:
    answer = await api.get(ns.deployments("d"))
    assert answer.body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'deployments.apps "d" not found',
        "reason": "NotFound",
        "details": {"name": "d", "group": "apps", "kind": "deployments"},
        "code": 404,
    }


async def test_deleting_answers_success_and_the_uid(api: Api, ns: Space) -> None:
    created = await api.create(ns.configmaps(), config_map("a"))
    answer = await api.delete(ns.configmaps("a"))
    assert answer.status == 200
    assert answer.body["status"] == "Success"
    assert answer.body["details"] == {
        "name": "a",
        "kind": "configmaps",
        "uid": created.metadata["uid"],
    }
    assert (await api.get(ns.configmaps("a"))).status == 404


async def test_a_recreated_object_has_another_uid(api: Api, ns: Space) -> None:
    first = await api.create(ns.configmaps(), config_map("a"))
    await api.delete(ns.configmaps("a"))
    second = await api.create(ns.configmaps(), config_map("a"))
    assert first.metadata["uid"] != second.metadata["uid"]
    assert int(first.version) < int(second.version)


async def test_a_generated_name_begins_with_the_given_part(api: Api, ns: Space) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "g-"}}
    first = (await api.create(ns.configmaps(), body)).metadata["name"]
    second = (await api.create(ns.configmaps(), body)).metadata["name"]
    assert first != second
    assert first.startswith("g-")
    assert len(first) == len("g-") + 5


async def test_a_name_wins_over_a_generated_one(api: Api, ns: Space) -> None:
    answer = await api.create(ns.configmaps(), config_map("fixed", generateName="g-"))
    assert answer.metadata["name"] == "fixed"
    assert answer.metadata["generateName"] == "g-"


async def test_an_object_needs_a_name(api: Api, ns: Space) -> None:
    answer = await api.create(ns.configmaps(), {"kind": "ConfigMap", "apiVersion": "v1"})
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert answer.message == (
        'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required'
    )


@pytest.mark.parametrize("name", ["Upper", "under_score", "-dash", "a..b", "x" * 254])
async def test_a_name_must_be_a_dns_subdomain(api: Api, ns: Space, name: str) -> None:
    answer = await api.create(ns.configmaps(), config_map(name))
    assert answer.status == 422
    assert "metadata.name" in answer.fields


async def test_a_service_name_must_be_a_dns_label(api: Api, ns: Space) -> None:
    body = {"metadata": {"name": "a.b"}, "spec": {"ports": [{"port": 80}]}}
    answer = await api.create(ns.services(), body)
    assert answer.status == 422
    assert answer.fields == {"metadata.name"}


async def test_a_resource_version_on_create_is_refused(api: Api, ns: Space) -> None:
    answer = await api.create(ns.configmaps(), config_map("a", resourceVersion="5"))
    assert answer.status == 500
    assert answer.message == "resourceVersion should not be set on objects to be created"


async def test_what_the_server_owns_is_ignored_on_create(api: Api, ns: Space) -> None:
    forged = {
        "uid": "11111111-1111-1111-1111-111111111111",
        "creationTimestamp": "2001-01-01T00:00:00Z",
        "deletionTimestamp": "2001-01-01T00:00:00Z",
        "deletionGracePeriodSeconds": 5,
        "selfLink": "/x",
    }
    metadata = (await api.create(ns.configmaps(), config_map("a", **forged))).metadata
    assert metadata["uid"] != forged["uid"]
    assert metadata["creationTimestamp"] > "2020"
    assert not {"deletionTimestamp", "deletionGracePeriodSeconds"} & metadata.keys()


async def test_the_namespace_of_the_body_must_be_that_of_the_path(api: Api, ns: Space) -> None:
    answer = await api.create(ns.configmaps(), config_map("a", namespace="other"))
    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert answer.message == (
        "the namespace of the provided object does not match the namespace sent on the request"
    )


async def test_the_name_of_the_body_must_be_that_of_the_path(api: Api, ns: Space) -> None:
    await api.create(ns.configmaps(), config_map("a"))
    answer = await api.replace(ns.configmaps("a"), config_map("b"))
    assert answer.status == 400
    assert answer.message == "the name of the object (b) does not match the name on the URL (a)"


async def test_replacing_raises_the_resource_version(api: Api, ns: Space) -> None:
    created = await api.create(ns.configmaps(), config_map("a", {"k": "1"}))
    body = config_map("a", {"k": "2"}, resourceVersion=created.version)
    replaced = await api.replace(ns.configmaps("a"), body)
    assert replaced.status == 200
    assert int(replaced.version) > int(created.version)
    assert replaced.metadata["uid"] == created.metadata["uid"]


async def test_replacing_an_older_version_is_a_conflict(api: Api, ns: Space) -> None:
    created = await api.create(ns.configmaps(), config_map("a", {"k": "1"}))
    body = config_map("a", {"k": "2"}, resourceVersion=created.version)
    (await api.replace(ns.configmaps("a"), body)).ok()
    answer = await api.replace(ns.configmaps("a"), body | {"data": {"k": "3"}})
    assert (answer.status, answer.reason) == (409, "Conflict")
    assert answer.message == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )


async def test_a_config_map_may_be_replaced_without_a_version(api: Api, ns: Space) -> None:
    await api.create(ns.configmaps(), config_map("a", {"k": "1"}))
    answer = await api.replace(ns.configmaps("a"), config_map("a", {"k": "2"}))
    assert answer.status == 200


async def test_a_lease_must_be_replaced_with_a_version(api: Api, ns: Space) -> None:
    await api.create(ns.leases(), lease("a"))
    answer = await api.replace(ns.leases("a"), lease("a", {"holderIdentity": "x"}))
    assert answer.status == 422
    assert answer.message == (
        'leases.coordination.k8s.io "a" is invalid: metadata.resourceVersion: Invalid value: 0: '
        "must be specified for an update"
    )


async def test_put_creates_a_lease_that_is_missing(api: Api, ns: Space) -> None:
    answer = await api.replace(ns.leases("a"), lease("a", {"holderIdentity": "x"}))
    assert answer.status == 201


async def test_replacing_with_the_same_content_changes_nothing(api: Api, ns: Space) -> None:
    created = await api.create(ns.configmaps(), config_map("a", {"k": "1"}))
    again = await api.replace(ns.configmaps("a"), config_map("a", {"k": "1"}))
    assert again.version == created.version


async def test_replacing_under_another_uid_is_a_conflict(api: Api, ns: Space) -> None:
    await api.create(ns.configmaps(), config_map("a"))
    answer = await api.replace(ns.configmaps("a"), config_map("a", {"k": "1"}, uid=NOBODY))
    assert (answer.status, answer.reason) == (409, "Conflict")


async def test_a_version_that_is_no_number_is_an_error(api: Api, ns: Space) -> None:
    await api.create(ns.configmaps(), config_map("a"))
    body = config_map("a", {"k": "1"}, resourceVersion="abc")
    answer = await api.replace(ns.configmaps("a"), body)
    assert answer.status == 500


async def test_delete_honours_the_uid_precondition(api: Api, ns: Space) -> None:
    created = await api.create(ns.configmaps(), config_map("a"))
    wrong = await api.delete(ns.configmaps("a"), {"preconditions": {"uid": NOBODY}})
    assert (wrong.status, wrong.reason) == (409, "Conflict")
    assert "the UID in the precondition" in wrong.message
    right = {"preconditions": {"uid": created.metadata["uid"]}}
    assert (await api.delete(ns.configmaps("a"), right)).status == 200


async def test_delete_honours_the_version_precondition(api: Api, ns: Space) -> None:
    created = await api.create(ns.configmaps(), config_map("a"))
    wrong = await api.delete(ns.configmaps("a"), {"preconditions": {"resourceVersion": "1"}})
    assert (wrong.status, wrong.reason) == (409, "Conflict")
    right = {"preconditions": {"resourceVersion": created.version}}
    assert (await api.delete(ns.configmaps("a"), right)).status == 200


async def test_deleting_a_collection_deletes_what_is_selected(api: Api, ns: Space) -> None:
    for name, label in (("a", "x"), ("b", "x"), ("c", "y")):
        await api.create(ns.leases(), lease(name, labels={"t": label}))
    answer = await api.delete(ns.leases(), labelSelector="t=x")
    assert answer.body["kind"] == "LeaseList"
    assert answer.names == ["a", "b"]
    assert (await api.get(ns.leases())).names == ["c"]


async def test_a_dry_run_answers_and_stores_nothing(api: Api, ns: Space) -> None:
    created = await api.create(ns.configmaps(), config_map("a", {"k": "v"}), dryRun="All")
    assert created.status == 201
    assert "uid" in created.metadata
    assert "resourceVersion" not in created.metadata
    assert (await api.get(ns.configmaps("a"))).status == 404


async def test_a_dry_run_of_replace_patch_and_delete_stores_nothing(api: Api, ns: Space) -> None:
    created = await api.create(ns.configmaps(), config_map("a", {"k": "v"}))
    path = ns.configmaps("a")
    replaced = await api.replace(path, config_map("a", {"k": "w"}), dryRun="All")
    patched = await api.merge(path, {"data": {"z": "1"}}, dryRun="All")
    deleted = await api.delete(path, dryRun="All")
    assert replaced.body["data"] == {"k": "w"}
    assert patched.body["data"] == {"k": "v", "z": "1"}
    assert deleted.status == 200
    assert (await api.get(path)).body == created.body


async def test_a_dry_run_finds_the_same_errors(api: Api, ns: Space) -> None:
    await api.create(ns.configmaps(), config_map("a"))
    exists = await api.create(ns.configmaps(), config_map("a"), dryRun="All")
    invalid = await api.create(ns.configmaps(), config_map("A"), dryRun="All")
    odd = await api.create(ns.configmaps(), config_map("b"), dryRun="Some")
    assert (exists.status, invalid.status, odd.status) == (409, 422, 422)
    assert 'supported values: "All"' in odd.message


async def test_an_object_larger_than_the_limit_is_refused(api: Api, ns: Space) -> None:
    big = {"k": "x" * 1_100_000}
    answer = await api.create(ns.configmaps(), config_map("a", big))
    assert answer.status == 422
    assert "Too long: may not be more than 1048576 bytes" in answer.message


async def test_a_body_over_three_megabytes_is_too_large(api: Api, ns: Space) -> None:
    answer = await api.create(ns.configmaps(), config_map("a", {"k": "x" * 3_300_000}))
    assert (answer.status, answer.reason) == (413, "RequestEntityTooLarge")


async def test_annotations_are_limited_in_all(api: Api, ns: Space) -> None:
    body = config_map("a", annotations={"n": "x" * 262_145})
    answer = await api.create(ns.configmaps(), body)
    assert answer.status == 422
    assert answer.fields == {"metadata.annotations"}


@pytest.mark.parametrize(
    ("labels", "field"),
    [
        ({"a b": "c"}, "metadata.labels"),
        ({"a": "b c"}, "metadata.labels"),
        ({"a": "x" * 64}, "metadata.labels"),
        ({"UP.example.com/a": "b"}, "metadata.labels"),
        ({"/a": "b"}, "metadata.labels"),
    ],
)
async def test_a_label_that_is_not_valid_is_refused(
    api: Api, ns: Space, labels: dict[str, str], field: str
) -> None:
    answer = await api.create(ns.configmaps(), config_map("a", labels=labels))
    assert answer.status == 422
    assert answer.fields == {field}


async def test_string_data_of_a_secret_is_written_into_its_data(api: Api, ns: Space) -> None:
    body = secret("s", stringData={"k": "hello"}, data={"k": "eA==", "z": "eg=="})
    answer = await api.create(ns.secrets(), body)
    assert answer.body["data"] == {"k": "aGVsbG8=", "z": "eg=="}
    assert answer.body["type"] == "Opaque"
    assert "stringData" not in answer.body


async def test_an_immutable_config_map_keeps_its_data(api: Api, ns: Space) -> None:
    await api.create(ns.configmaps(), config_map("a", {"k": "v"}) | {"immutable": True})
    data = await api.merge(ns.configmaps("a"), {"data": {"k": "w"}})
    flag = await api.merge(ns.configmaps("a"), {"immutable": None})
    label = await api.merge(ns.configmaps("a"), {"metadata": {"labels": {"a": "b"}}})
    assert (data.status, flag.status, label.status) == (422, 422, 200)
    assert data.message == (
        'ConfigMap "a" is invalid: data: Forbidden: field is immutable when `immutable` is set'
    )


async def test_the_selector_of_a_deployment_cannot_change(api: Api, ns: Space) -> None:
    (await api.create(ns.deployments(), deployment("d"))).ok()
    labels = {"app": "e"}
    change = {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}},
    }
    answer = await api.merge(ns.deployments("d"), {"spec": change})
    assert answer.status == 422
    assert answer.fields == {"spec.selector"}
    assert answer.message.endswith("field is immutable")


async def test_an_owner_reference_needs_its_parts(api: Api, ns: Space) -> None:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": ""}
    answer = await api.create(ns.configmaps(), config_map("a", ownerReferences=[owner]))
    assert answer.status == 422
    assert answer.fields == {"metadata.ownerReferences.uid"}


async def test_only_one_owner_may_be_the_controller(api: Api, ns: Space) -> None:
    owners = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": n, "uid": n * 8, "controller": True}
        for n in ("a", "b")
    ]
    answer = await api.create(ns.configmaps(), config_map("c", ownerReferences=owners))
    assert answer.status == 422
    assert answer.fields == {"metadata.ownerReferences"}
    assert "Only one reference can have Controller set to true" in answer.message
