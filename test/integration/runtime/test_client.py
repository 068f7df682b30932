"""The client's verbs against an API server, over HTTP."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from kaito.runtime import (
    BadRequest,
    Client,
    ClusterConfig,
    Conflict,
    ConnectionFailed,
    HttpTransport,
    Invalid,
    Key,
    NotFound,
    Object,
    Resource,
    SystemClock,
    Tls,
)
from kaito.runtime.credentials import Anonymous
from test.integration.runtime.conftest import CONFIGMAPS
from test.unit.runtime.test_tls import pair

DEPLOYMENTS: Resource[Object] = Resource("apps", "v1", "deployments", "Deployment")
WEB = Key("default", "web")


def deployment(replicas: int | None = None) -> Object:
    labels = {"app": "web"}
    spec: Object = {
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "web", "image": "web:1"}]},
        },
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": WEB.name, "namespace": WEB.namespace},
        "spec": spec,
    }


def scale(replicas: int) -> Object:
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": WEB.name, "namespace": WEB.namespace},
        "spec": {"replicas": replicas},
    }


async def test_a_scale_is_applied_like_any_object(client: Client) -> None:
    await client.apply(DEPLOYMENTS, deployment())
    await client.apply(DEPLOYMENTS, scale(5), subresource="scale")
    assert (await client.get(DEPLOYMENTS, WEB))["spec"]["replicas"] == 5


async def test_without_force_a_conflict_names_the_owner_and_the_field(client: Client) -> None:
    await client.apply(DEPLOYMENTS, deployment(replicas=2))
    autoscaler = client.with_options(field_manager="autoscaler")
    with pytest.raises(Conflict) as caught:
        await autoscaler.apply(DEPLOYMENTS, scale(5), subresource="scale", force=False)
    assert caught.value.owners == {"tester": (".spec.replicas",)}


async def test_a_dry_run_answers_like_the_write_and_leaves_nothing(client: Client) -> None:
    rehearsal = client.with_options(dry_run=True)
    made = await rehearsal.apply(DEPLOYMENTS, deployment())
    assert made["spec"]["strategy"]["type"] == "RollingUpdate"
    with pytest.raises(NotFound):
        await client.get(DEPLOYMENTS, WEB)


async def test_a_field_that_nobody_knows_is_refused_or_logged_as_asked(client: Client) -> None:
    obj: Object = {"metadata": {"name": "a", "namespace": "default"}, "dta": {}}
    with pytest.raises(BadRequest, match='unknown field "dta"'):
        await client.with_options(field_validation="Strict").create(CONFIGMAPS, obj)
    with capture_logs() as logs:
        await client.create(CONFIGMAPS, obj)
    assert [entry["warning"] for entry in logs] == ['unknown field "dta"']


async def test_a_server_of_another_authority_is_not_trusted_and_the_message_says_where_to_look(
    config: ClusterConfig,
) -> None:
    transport = HttpTransport(
        config.server,
        Anonymous(),
        tls=Tls(SystemClock(), authority=pair("another")[0]),
        origin="The kubeconfig k, context c",
    )
    async with Client(transport) as stranger:
        with pytest.raises(ConnectionFailed) as caught:
            await stranger.get(CONFIGMAPS, Key("default", "a"))
    assert str(caught.value).startswith(f"The certificate of {config.server} is not trusted: ")
    assert "The kubeconfig k, context c, has another authority" in str(caught.value)


async def test_a_body_of_two_megabytes_reaches_the_server(client: Client) -> None:
    data = {f"k{number}": "x" * 500_000 for number in range(4)}
    obj: Object = {"metadata": {"name": "big", "namespace": "default"}, "data": data}
    with pytest.raises(Invalid, match="1048576"):
        await client.create(CONFIGMAPS, obj)


async def test_a_client_that_was_closed_stays_closed(config: ClusterConfig) -> None:
    client = Client(config.transport())
    await client.aclose()
    with pytest.raises(ConnectionFailed, match="has been closed"):
        await client.get(CONFIGMAPS, Key("default", "a"))
