"""What the scheduler knows of the cluster follows the changes it is shown."""

from __future__ import annotations

import json
from typing import Any, Literal

from kaito.local.kinds import NODES, PODS
from kaito.local.scheduling.fit import PodNeeds
from kaito.local.scheduling.picture import Choice, Picture
from kaito.runtime import Change, Key, Object, Resource
from kaito.runtime.wire import open_object


def change(
    resource: Resource[Object], obj: Object, kind: Literal["added", "modified", "deleted"] = "added"
) -> Change:
    key, header, body = open_object(json.dumps(obj).encode())
    return Change(resource, key, header, body, kind=kind)


def node(name: str, cpu: str = "2", **labels: str) -> Object:
    return {
        "metadata": {"name": name, "uid": name, "labels": labels},
        "status": {"allocatable": {"cpu": cpu, "pods": "10"}},
    }


def pod(name: str, on: str = "", cpu: str = "1", phase: str = "Pending", **selector: str) -> Object:
    spec: Any = {"containers": [{"resources": {"requests": {"cpu": cpu}}}]}
    if on:
        spec["nodeName"] = on
    if selector:
        spec["nodeSelector"] = selector
    metadata = {"namespace": "ns", "name": name, "uid": name}
    return {"metadata": metadata, "spec": spec, "status": {"phase": phase}}


def key(name: str) -> Key:
    return Key("ns", name)


def picture(*nodes: Object) -> Picture:
    made = Picture()
    for each in nodes:
        made.node_changed(change(NODES, each))
    return made


def chosen(seen: Picture, needs: PodNeeds) -> str:
    return seen.choose(needs).node


def test_the_emptier_node_is_chosen() -> None:
    seen = picture(node("a"), node("b"))
    seen.pod_changed(change(PODS, pod("p", on="a")))
    assert chosen(seen, PodNeeds.of(pod("q"))) == "b"


def test_pods_that_ask_for_nothing_are_spread() -> None:
    seen = picture(node("a"), node("b"))
    seen.pod_changed(change(PODS, pod("p", on="a", cpu="0")))
    assert chosen(seen, PodNeeds.of(pod("q", cpu="0"))) == "b"


def test_a_pod_counts_from_the_moment_it_is_placed() -> None:
    seen = picture(node("a"))
    needs = PodNeeds.of(pod("p", cpu="2"))
    seen.place(key("p"), "a", needs)
    assert chosen(seen, needs) == ""
    seen.pod_changed(change(PODS, pod("p", on="a", cpu="2")))
    seen.release(key("p"))
    assert chosen(seen, needs) == "a"


def test_a_pod_that_has_ended_or_gone_makes_room() -> None:
    seen = picture(node("a"))
    needs = PodNeeds.of(pod("x", cpu="2"))
    for last in (
        change(PODS, pod("p", on="a", phase="Succeeded"), "modified"),
        change(PODS, pod("p", on="a"), "deleted"),
    ):
        seen.pod_changed(change(PODS, pod("p", on="a")))
        assert chosen(seen, needs) == ""
        seen.pod_changed(last)
        assert chosen(seen, needs) == "a"


def test_only_pods_that_may_suit_are_woken() -> None:
    seen = picture(node("a", team="x"))
    seen.wait(key("any"), PodNeeds.of(pod("any")))
    seen.wait(key("x"), PodNeeds.of(pod("x", team="x")))
    seen.wait(key("y"), PodNeeds.of(pod("y", team="y")))
    assert seen.hopeful({"team": "x"}.items()) == [key("any"), key("x")]
    assert seen.hopeful({"team": "y", "more": "1"}.items()) == [key("any"), key("y")]
    seen.stop_waiting(key("y"))
    assert seen.hopeful({"team": "y"}.items()) == [key("any")]


def refused(seen: Picture, needs: PodNeeds) -> dict[str, int]:
    refusals = seen.choose(needs).refusals or {}
    return {
        reason: count for refusal, count in refusals.items() for reason in refusal.reasons if count
    }


def test_nodes_without_the_label_are_counted_and_not_looked_at() -> None:
    tainted = node("d", team="x")
    tainted["spec"] = {"taints": [{"key": "sku", "value": "gpu", "effect": "NoSchedule"}]}
    bare = node("e")
    bare["spec"] = tainted["spec"]
    seen = picture(node("a", team="x"), node("b"), node("c"), tainted, bare)
    assert refused(seen, PodNeeds.of(pod("p", cpu="9", team="x"))) == {
        "Insufficient cpu": 1,
        "node(s) didn't match Pod's node affinity/selector": 2,
        "node(s) had untolerated taint(s)": 2,
    }


def test_a_deleted_node_is_chosen_no_more() -> None:
    seen = picture(node("a"))
    seen.node_changed(change(NODES, node("a"), "deleted"))
    assert seen.choose(PodNeeds.of(pod("p"))) == Choice(refusals={})


def test_a_heartbeat_is_no_difference() -> None:
    seen = picture(node("a"))
    later = node("a")
    later["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    assert not seen.node_changed(change(NODES, later, "modified"))
    assert seen.node_changed(change(NODES, node("a", cpu="3"), "modified"))


def test_pods_of_lower_priority_make_room_and_no_more_of_them_than_needed() -> None:
    seen = picture(node("a", cpu="3"), node("b", cpu="3"))
    for name, on, priority in (("p", "a", 1), ("q", "a", 2), ("r", "b", 3), ("s", "b", 9)):
        there = pod(name, on=on)
        there["spec"]["priority"] = priority
        seen.pod_changed(change(PODS, there))
    urgent = pod("u", cpu="2")
    urgent["spec"]["priority"] = 5
    found = seen.preempt(PodNeeds.of(urgent))
    assert found is not None
    assert (found.node, found.victims) == ("a", (key("p"),))
    urgent["spec"]["preemptionPolicy"] = "Never"
    assert seen.preempt(PodNeeds.of(urgent)) is None


def test_a_pod_that_makes_room_is_waited_for() -> None:
    seen = picture(node("a", cpu="1"))
    leaving = pod("p", on="a")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    urgent = pod("u")
    urgent["spec"]["priority"] = 5
    seen.pod_changed(change(PODS, pod("p", on="a")))
    assert not seen.makes_room("a", PodNeeds.of(urgent))
    seen.pod_changed(change(PODS, leaving, "modified"))
    assert seen.makes_room("a", PodNeeds.of(urgent))


def test_who_repels_others_is_heeded() -> None:
    seen = picture(node("a", zone="1"), node("b", zone="2"))
    lonely = pod("p", on="a")
    lonely["metadata"]["labels"] = {"app": "x"}
    term = {"labelSelector": {"matchLabels": {"app": "y"}}, "topologyKey": "zone"}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    lonely["spec"]["affinity"] = {"podAntiAffinity": required}
    seen.pod_changed(change(PODS, lonely))
    other = pod("q", zone="1")
    other["metadata"]["labels"] = {"app": "y"}
    assert refused(seen, PodNeeds.of(other)) == {
        "node(s) didn't satisfy existing pods anti-affinity rules": 1,
        "node(s) didn't match Pod's node affinity/selector": 1,
    }
    other["spec"]["nodeSelector"] = {"zone": "2"}
    assert chosen(seen, PodNeeds.of(other)) == "b"


def test_who_asks_for_company_is_woken_when_any_pod_is_placed() -> None:
    seen = picture(node("a"))
    shy = pod("q")
    term = {"labelSelector": {"matchLabels": {"app": "y"}}, "topologyKey": "zone"}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    shy["spec"]["affinity"] = {"podAffinity": required}
    seen.wait(key("q"), PodNeeds.of(shy))
    assert seen.sociable() == [key("q")]
    seen.stop_waiting(key("q"))
    assert seen.sociable() == []
