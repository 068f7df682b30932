"""Services: what the server hands out, to one at a time, and what a change of type takes away."""

from __future__ import annotations

import pytest

from test.conformance.client import Api
from test.conformance.objects import Object, Space, service

pytestmark = pytest.mark.apiserver

PORT = 31907  # one that no other test asks for


def exposed(name: str, port: int, **spec: object) -> Object:
    return service(name, type="NodePort", ports=[{"port": 80, "nodePort": port}], **spec)


async def test_a_service_gets_an_address(api: Api, ns: Space) -> None:
    spec = (await api.create(ns.services(), service("s"))).ok().body["spec"]
    assert spec["clusterIP"].count(".") == 3
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert spec["type"] == "ClusterIP"
    assert spec["sessionAffinity"] == "None"
    assert spec["internalTrafficPolicy"] == "Cluster"
    assert spec["ipFamilyPolicy"] == "SingleStack"
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]


async def test_the_address_of_a_service_stays(api: Api, ns: Space) -> None:
    created = (await api.create(ns.services(), service("s"))).ok().body
    changed = await api.merge(ns.services("s"), {"spec": {"clusterIP": "10.0.0.99"}})
    again = await api.replace(ns.services("s"), service("s"))
    assert changed.status == 422
    assert changed.fields == {"spec.clusterIPs[0]"}
    assert again.ok().body["spec"]["clusterIP"] == created["spec"]["clusterIP"]


async def test_an_address_belongs_to_one_service(api: Api, ns: Space) -> None:
    spec = (await api.create(ns.services(), service("a"))).ok().body["spec"]
    address = spec["clusterIP"]
    second = await api.create(ns.services(), service("b", clusterIP=address))
    assert second.status == 422
    assert f"failed to allocate IP {address}: provided IP is already allocated" in second.message


async def test_a_headless_service_has_no_address(api: Api, ns: Space) -> None:
    answer = await api.create(ns.services(), service("s", clusterIP="None"))
    assert answer.ok().body["spec"]["clusterIPs"] == ["None"]


async def test_a_headless_service_without_selector_has_both_families(api: Api, ns: Space) -> None:
    spec = (await api.create(ns.services(), service("s", clusterIP="None"))).ok().body["spec"]
    assert spec["ipFamilyPolicy"] == "RequireDualStack"
    assert sorted(spec["ipFamilies"]) == ["IPv4", "IPv6"]


async def test_a_node_port_is_allocated_from_its_range(api: Api, ns: Space) -> None:
    answer = await api.create(ns.services(), service("s", type="NodePort"))
    assert 30000 <= answer.ok().body["spec"]["ports"][0]["nodePort"] <= 32767


async def test_a_port_over_two_protocols_is_one_node_port(api: Api, ns: Space) -> None:
    ports = [{"name": p.lower(), "port": 53, "protocol": p} for p in ("TCP", "UDP")]
    answer = await api.create(ns.services(), service("s", type="NodePort", ports=ports))
    assert len({p["nodePort"] for p in answer.ok().body["spec"]["ports"]}) == 1


async def test_a_node_port_belongs_to_one_service_however_it_is_asked_for(
    api: Api, ns: Space
) -> None:
    (await api.create(ns.services(), exposed("a", PORT))).ok()
    (await api.create(ns.services(), service("d"))).ok()
    refused = [
        await api.create(ns.services(), exposed("b", PORT)),
        await api.apply(ns.services("c"), exposed("c", PORT), "m"),
        await api.merge(ns.services("d"), {"spec": exposed("d", PORT)["spec"]}),
    ]
    await api.delete(ns.services("a"))
    taken = await api.create(ns.services(), exposed("b", PORT))
    assert {r.message.partition("spec.")[2] for r in refused} == {
        f"ports[0].nodePort: Invalid value: {PORT}: provided port is already allocated"
    }
    assert taken.status == 201


async def test_a_node_port_must_lie_in_the_range_once_it_is_stored(api: Api, ns: Space) -> None:
    tried = await api.create(ns.services(), exposed("a", 80), dryRun="All")
    stored = await api.create(ns.services(), exposed("a", 80))
    assert tried.status == 201
    assert stored.status == 422
    assert "The range of valid ports is 30000-32767" in stored.message


async def test_a_node_port_goes_with_the_type_that_has_one(api: Api, ns: Space) -> None:
    (await api.create(ns.services(), service("s", type="NodePort"))).ok()
    spec = (await api.merge(ns.services("s"), {"spec": {"type": "ClusterIP"}})).ok().body["spec"]
    assert "nodePort" not in spec["ports"][0]
    assert "externalTrafficPolicy" not in spec


async def test_an_address_goes_with_the_type_that_has_one(api: Api, ns: Space) -> None:
    (await api.create(ns.services(), service("s"))).ok()
    change = {"type": "ExternalName", "externalName": "example.com"}
    spec = (await api.merge(ns.services("s"), {"spec": change})).ok().body["spec"]
    assert not spec.keys() & {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"}


async def test_a_balancer_that_keeps_source_addresses_is_checked_at_a_port(
    api: Api, ns: Space
) -> None:
    spec = {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}
    made = (await api.create(ns.services(), service("s", **spec))).ok().body["spec"]
    port = made["healthCheckNodePort"]
    kept = await api.merge(ns.services("s"), {"spec": {"healthCheckNodePort": None}})
    moved = await api.merge(ns.services("s"), {"spec": {"healthCheckNodePort": 31908}})
    assert 30000 <= port <= 32767
    assert kept.body["spec"]["healthCheckNodePort"] == port
    assert moved.fields == {"spec.healthCheckNodePort"}


async def test_replacing_a_service_that_is_missing_creates_it(api: Api, ns: Space) -> None:
    assert (await api.replace(ns.services("s"), service("s"))).status == 201


async def test_only_a_balancer_tells_where_it_is_reached(api: Api, ns: Space) -> None:
    (await api.create(ns.services(), service("s"))).ok()
    status = {"status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}}
    answer = await api.merge(ns.services("s", "status"), status)
    assert answer.fields == {"status.loadBalancer.ingress"}


async def test_a_dry_run_hands_out_stand_ins(api: Api, ns: Space) -> None:
    body = service(
        "s", type="NodePort", ports=[{"name": n, "port": 80 + len(n)} for n in ("a", "bb")]
    )
    spec = (await api.create(ns.services(), body, dryRun="All")).ok().body["spec"]
    assert spec["clusterIP"].endswith(".0")
    assert [p["nodePort"] for p in spec["ports"]] == [32769, 32770]
