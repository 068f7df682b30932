"""Deletion: finalizers, grace, propagation, and what keeps an object alive."""

from __future__ import annotations

import pytest

from test.conformance.client import Api
from test.conformance.definitions import Defining
from test.conformance.objects import Space, config_map, pod

pytestmark = pytest.mark.apiserver

ONE, TWO = "conformance.example.com/one", "conformance.example.com/two"
NO_FINALIZERS = {"metadata": {"finalizers": None}}


@pytest.fixture
async def held(api: Api, ns: Space) -> str:
    """A config map that is being deleted and has two finalizers."""
    (await api.create(ns.configmaps(), config_map("a", {"k": "v"}, finalizers=[ONE, TWO]))).ok()
    (await api.delete(ns.configmaps("a"))).ok()
    return ns.configmaps("a")


async def test_a_finalizer_holds_a_deleted_object(api: Api, held: str) -> None:
    answer = await api.get(held)
    assert answer.metadata["deletionTimestamp"]
    assert answer.metadata["deletionGracePeriodSeconds"] == 0
    assert (await api.merge(held, {"metadata": {"finalizers": [TWO]}})).status == 200
    assert (await api.merge(held, NO_FINALIZERS)).status == 200
    assert (await api.get(held)).status == 404


async def test_deleting_what_stays_answers_the_object(api: Api, held: str) -> None:
    again = await api.delete(held)
    assert again.status == 200
    assert again.body["kind"] == "ConfigMap"
    assert again.body == (await api.get(held)).body


async def test_an_object_being_deleted_can_still_be_written(api: Api, held: str) -> None:
    answer = await api.merge(held, {"data": {"k": "w"}})
    assert answer.ok().body["data"] == {"k": "w"}


async def test_no_finalizer_is_added_to_what_is_being_deleted(api: Api, held: str) -> None:
    answer = await api.merge(held, {"metadata": {"finalizers": [ONE, TWO, "example.com/late"]}})
    assert answer.status == 422
    assert answer.fields == {"metadata.finalizers"}
    assert "no new finalizers can be added if the object is being deleted" in answer.message


async def test_a_deletion_cannot_be_called_off(api: Api, held: str) -> None:
    answer = await api.merge(held, {"metadata": {"deletionTimestamp": None}})
    assert answer.status == 200
    assert answer.metadata["deletionTimestamp"]


async def test_what_is_being_deleted_cannot_be_created(api: Api, ns: Space, held: str) -> None:
    answer = await api.create(ns.configmaps(), config_map("a"))
    assert (answer.status, answer.reason) == (409, "AlreadyExists")
    assert answer.message == 'object is being deleted: configmaps "a" already exists'


async def test_replacing_without_finalizers_finishes_a_deletion(api: Api, held: str) -> None:
    assert (await api.replace(held, config_map("a"))).status == 200
    assert (await api.get(held)).status == 404


async def test_an_unqualified_finalizer_of_a_built_in_kind_is_refused(api: Api, ns: Space) -> None:
    answer = await api.create(ns.configmaps(), config_map("a", finalizers=["plain"]))
    assert answer.status == 422
    assert "metadata.finalizers" in answer.message


async def test_an_unqualified_finalizer_of_a_custom_resource_is_a_warning(
    api: Api, define: Defining
) -> None:
    widgets = await define()
    body = widgets.new("a", {}, metadata={"finalizers": ["plain"]})
    answer = await api.create(widgets.path(), body)
    await api.merge(widgets.path("a"), NO_FINALIZERS)
    assert answer.status == 201
    assert any("prefer a domain-qualified finalizer name" in text for text in answer.warnings)


@pytest.mark.parametrize(
    ("policy", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")]
)
async def test_a_propagation_policy_leaves_its_mark(
    api: Api, ns: Space, policy: str, finalizer: str
) -> None:
    (await api.create(ns.configmaps(), config_map("a", finalizers=[ONE]))).ok()
    answer = await api.delete(ns.configmaps("a"), propagationPolicy=policy)
    assert finalizer in answer.ok().metadata["finalizers"]
    (await api.merge(ns.configmaps("a"), NO_FINALIZERS)).ok()


async def test_background_deletion_takes_the_object_at_once(api: Api, ns: Space) -> None:
    (await api.create(ns.configmaps(), config_map("a"))).ok()
    answer = await api.delete(ns.configmaps("a"), {"propagationPolicy": "Background"})
    assert answer.body["status"] == "Success"
    assert (await api.get(ns.configmaps("a"))).status == 404


async def test_an_unknown_propagation_policy_is_refused(api: Api, ns: Space) -> None:
    (await api.create(ns.configmaps(), config_map("a"))).ok()
    answer = await api.delete(ns.configmaps("a"), propagationPolicy="Sometimes")
    assert answer.status == 422
    assert answer.fields == {"propagationPolicy"}


async def test_two_propagation_wishes_exclude_each_other(api: Api, ns: Space) -> None:
    (await api.create(ns.configmaps(), config_map("a"))).ok()
    both = {"propagationPolicy": "Orphan", "orphanDependents": True}
    answer = await api.delete(ns.configmaps("a"), both)
    assert answer.status == 422
    assert "orphanDependents and deletionPropagation cannot be both set" in answer.message


async def test_a_pod_without_a_node_goes_at_once(api: Api, ns: Space) -> None:
    (await api.create(ns.pods(), pod("p"))).ok()
    answer = await api.delete(ns.pods("p"))
    assert answer.body["kind"] == "Pod"
    assert (await api.get(ns.pods("p"))).status == 404


async def test_a_pod_on_a_node_is_given_time(api: Api, ns: Space) -> None:
    (await api.create(ns.pods(), pod("p", nodeName="n", terminationGracePeriodSeconds=7))).ok()
    metadata = (await api.delete(ns.pods("p"))).ok().metadata
    assert metadata["deletionGracePeriodSeconds"] == 7
    assert metadata["deletionTimestamp"]
    assert (await api.get(ns.pods("p"))).status == 200


async def test_a_grace_period_can_be_shortened_and_not_extended(api: Api, ns: Space) -> None:
    (await api.create(ns.pods(), pod("p", nodeName="n"))).ok()
    seconds = []
    for wanted in (20, 5, 50):
        answer = await api.delete(ns.pods("p"), gracePeriodSeconds=wanted)
        seconds.append(answer.ok().metadata["deletionGracePeriodSeconds"])
    assert seconds == [20, 5, 5]
    (await api.delete(ns.pods("p"), {"gracePeriodSeconds": 0})).ok()
    assert (await api.get(ns.pods("p"))).status == 404


async def test_deleting_a_pod_again_that_a_finalizer_holds_changes_nothing(
    api: Api, ns: Space
) -> None:
    held = pod("p", nodeName="n")
    held["metadata"]["finalizers"] = [ONE]
    (await api.create(ns.pods(), held)).ok()
    first = await api.delete(ns.pods("p"), gracePeriodSeconds=0)
    assert (await api.delete(ns.pods("p"), gracePeriodSeconds=0)).body == first.ok().body
    assert (await api.merge(ns.pods("p"), NO_FINALIZERS)).status == 200
    assert (await api.get(ns.pods("p"))).status == 404


async def test_deletion_is_a_generation_of_a_custom_resource(api: Api, define: Defining) -> None:
    widgets = await define()
    body = widgets.new("a", {"n": 1}, metadata={"finalizers": [ONE]})
    created = await api.create(widgets.path(), body)
    deleted = await api.delete(widgets.path("a"))
    await api.merge(widgets.path("a"), NO_FINALIZERS)
    assert (created.metadata["generation"], deleted.metadata["generation"]) == (1, 2)


async def test_delete_options_of_another_kind_are_refused(api: Api, ns: Space) -> None:
    (await api.create(ns.configmaps(), config_map("a"))).ok()
    answer = await api.delete(ns.configmaps("a"), {"kind": "Pod", "apiVersion": "v1"})
    assert (answer.status, answer.reason) == (400, "BadRequest")


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        ({"gracePeriodSeconds": "x"}, 400, "DeleteOptions.gracePeriodSeconds of type int64"),
        ({"dryRun": "All"}, 400, "DeleteOptions.dryRun of type []string"),
        ({"propagationPolicy": 5}, 400, "of type v1.DeletionPropagation"),
        ({"propagationPolicy": ""}, 422, 'Unsupported value: ""'),
        ({"preconditions": {"uid": ""}}, 409, "the UID in the precondition () does not match"),
        ({"preconditions": {"resourceVersion": "x"}}, 409, "the ResourceVersion in the"),
        ("[]", 400, "cannot unmarshal array into Go value of type struct"),
        ({"kind": "Lease"}, 400, 'no kind "Lease" is registered for version "meta.k8s.io/v1"'),
    ],
)
async def test_delete_options_are_read_with_care(
    api: Api, ns: Space, body: object, status: int, why: str
) -> None:
    (await api.create(ns.configmaps(), config_map("a"))).ok()
    answer = await api.delete(ns.configmaps("a"), body)
    assert answer.status == status
    assert why in answer.message


async def test_delete_options_have_a_media_type(api: Api, ns: Space) -> None:
    (await api.create(ns.configmaps(), config_map("a"))).ok()
    assert (await api.delete(ns.configmaps("a"), "{}", content_type="text/plain")).status == 415
    yaml = "kind: DeleteOptions\ndryRun: [All]\n"
    assert (await api.delete(ns.configmaps("a"), yaml, content_type="application/yaml")).ok()
    assert (await api.get(ns.configmaps("a"))).status == 200


async def test_a_collection_is_deleted_page_by_page(api: Api, ns: Space) -> None:
    for name in "abc":
        (await api.create(ns.configmaps(), config_map(name))).ok()
    answer = await api.delete(ns.configmaps(), limit=2)
    assert answer.names == ["a", "b"]
    assert answer.metadata["remainingItemCount"] == 1
    assert (await api.get(ns.configmaps())).names == ["c"]


async def test_a_pod_is_marked_before_it_goes(api: Api, ns: Space) -> None:
    created = (await api.create(ns.pods(), pod("p"))).ok()
    async with api.watch(ns.pods(), resourceVersion=created.version) as stream:
        await api.delete(ns.pods("p"))
        assert await stream.take(2) == [("MODIFIED", "p"), ("DELETED", "p")]


async def test_dependents_of_a_pod_that_is_going_can_no_longer_be_asked_for(
    api: Api, ns: Space
) -> None:
    (await api.create(ns.pods(), pod("p", nodeName="n"))).ok()
    (await api.delete(ns.pods("p"))).ok()
    answer = (await api.delete(ns.pods("p"), {"propagationPolicy": "Foreground"})).ok()
    assert "finalizers" not in answer.metadata


async def test_events_have_no_dependents(api: Api, ns: Space) -> None:
    path = f"/api/v1/namespaces/{ns.name}/events"
    event = {"metadata": {"name": "e"}, "involvedObject": {"namespace": ns.name}}
    (await api.create(path, event)).ok()
    await api.delete(f"{path}/e", {"propagationPolicy": "Foreground"})
    assert (await api.get(f"{path}/e")).status == 404


async def test_the_pods_of_a_job_stay_unless_told_otherwise(api: Api, ns: Space) -> None:
    path = f"/apis/batch/v1/namespaces/{ns.name}/jobs"
    spec = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}
    (await api.create(path, {"metadata": {"name": "j"}, "spec": {"template": {"spec": spec}}})).ok()
    silent = await api.delete(f"{path}/j", dryRun="All")
    said = await api.delete(f"{path}/j", dryRun="All", propagationPolicy="Background")
    assert silent.warnings[0].startswith("child pods are preserved by default")
    assert not said.warnings


async def test_the_namespaces_of_the_cluster_are_not_deleted(api: Api) -> None:
    answer = await api.delete("/api/v1/namespaces/kube-system", dryRun="All")
    assert answer.status == 403
    assert answer.message.endswith("this namespace may not be deleted")


async def test_the_preconditions_of_a_namespace_have_their_own_words(api: Api, ns: Space) -> None:
    path = f"/api/v1/namespaces/{ns.name}"
    answer = await api.delete(path, {"preconditions": {"uid": "nope"}})
    assert "Precondition failed: UID in precondition: nope, UID in object meta: " in answer.message
