"""What the scheduler knows of the cluster follows the changes it is shown."""

from __future__ import annotations

import json
from typing import Any, Literal

from kaito.local.kinds import NODES, PODS
from kaito.local.scheduling.fit import PodNeeds
from kaito.local.scheduling.picture import Picture
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


def test_the_emptier_node_is_chosen() -> None:
    seen = picture(node("a"), node("b"))
    seen.pod_changed(change(PODS, pod("p", on="a")))
    assert seen.choose(PodNeeds.of(pod("q"))) == ("b", "")


def test_a_pod_counts_from_the_moment_it_is_placed() -> None:
    seen = picture(node("a"))
    needs = PodNeeds.of(pod("p", cpu="2"))
    seen.place(key("p"), "a", needs.requests)
    assert seen.choose(needs) == ("", "0/1 nodes are available: 1 Insufficient cpu.")
    seen.pod_changed(change(PODS, pod("p", on="a", cpu="2")))
    seen.release(key("p"))
    assert seen.choose(needs) == ("a", "")


def test_a_pod_that_has_ended_or_gone_makes_room() -> None:
    seen = picture(node("a"))
    needs = PodNeeds.of(pod("x", cpu="2"))
    for last in (
        change(PODS, pod("p", on="a", phase="Succeeded"), "modified"),
        change(PODS, pod("p", on="a"), "deleted"),
    ):
        seen.pod_changed(change(PODS, pod("p", on="a")))
        assert seen.choose(needs)[0] == ""
        seen.pod_changed(last)
        assert seen.choose(needs) == ("a", "")


def test_only_pods_that_may_suit_are_woken() -> None:
    seen = picture(node("a", team="x"))
    seen.wait(key("any"), PodNeeds.of(pod("any")))
    seen.wait(key("x"), PodNeeds.of(pod("x", team="x")))
    seen.wait(key("y"), PodNeeds.of(pod("y", team="y")))
    assert seen.hopeful({"team": "x"}.items()) == [key("any"), key("x")]
    assert seen.hopeful({"team": "y", "more": "1"}.items()) == [key("any"), key("y")]
    seen.stop_waiting(key("y"))
    assert seen.hopeful({"team": "y"}.items()) == [key("any")]


def test_nodes_without_the_label_are_counted_and_not_looked_at() -> None:
    seen = picture(node("a", team="x"), node("b"), node("c"))
    why = (
        "0/3 nodes are available: 1 Insufficient cpu, "
        "2 node(s) didn't match Pod's node affinity/selector."
    )
    assert seen.choose(PodNeeds.of(pod("p", cpu="9", team="x"))) == ("", why)


def test_a_deleted_node_is_chosen_no_more() -> None:
    seen = picture(node("a"))
    seen.node_changed(change(NODES, node("a"), "deleted"))
    assert seen.choose(PodNeeds.of(pod("p"))) == ("", "no nodes available to schedule pods")
