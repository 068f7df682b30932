"""How bodies become objects: what a wrong type is called, and which texts mean the same."""

from __future__ import annotations

from typing import Any

import pytest

from test.conformance.client import APPLY_PATCH, Api
from test.conformance.objects import Object, Space, config_map, lease

pytestmark = pytest.mark.apiserver

YAML = "application/yaml"
ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
INTO = "json: cannot unmarshal {} into Go struct field {} of type {}"


def a_pod(**spec: Any) -> Object:
    return {"spec": {"containers": [{"name": "main", "image": "model:1", **spec}]}}


WRONG_TYPES = [
    (
        "pods",
        {"spec": {"restartPolicy": 5}},
        "number",
        "PodSpec.spec.restartPolicy v1.RestartPolicy",
    ),
    ("pods", {"spec": {"containers": {}}}, "object", "PodSpec.spec.containers []v1.Container"),
    ("pods", {"metadata": {"uid": 5}}, "number", "ObjectMeta.metadata.uid types.UID"),
    (
        "pods",
        a_pod(ports=[{"containerPort": 99999999999}]),
        "number 99999999999",
        "ContainerPort.spec.containers.ports.containerPort int32",
    ),
    (
        "pods",
        a_pod(resources={"limits": 5}),
        "number",
        "ResourceRequirements.spec.containers.resources.limits v1.ResourceList",
    ),
    (
        "pods",
        a_pod(livenessProbe={"httpGet": {"port": {}}}),
        "object",
        "HTTPGetAction.spec.containers.livenessProbe.ProbeHandler.httpGet.port int32",
    ),
    ("configmaps", {"binaryData": {"a": 5}}, "number", "ConfigMap.binaryData []uint8"),
    ("configmaps", {"data": {"a": True}}, "bool", "ConfigMap.data string"),
    ("secrets", {"type": 5}, "number", "Secret.type v1.SecretType"),
    (
        "services",
        {"spec": {"ipFamilies": [4]}},
        "number",
        "ServiceSpec.spec.ipFamilies v1.IPFamily",
    ),
    ("leases", {"spec": {"acquireTime": 5}}, "number", "LeaseSpec.spec.acquireTime string"),
    (
        "deployments",
        {"spec": {"strategy": {"rollingUpdate": {"maxSurge": 1.5}}}},
        "number 1.5",
        "RollingUpdateDeployment.spec.strategy.rollingUpdate.maxSurge int32",
    ),
    (
        "deployments",
        '{"spec": {"replicas": 1e0}}',
        "number 1e0",
        "DeploymentSpec.spec.replicas int32",
    ),
]


@pytest.mark.parametrize(("kind", "body", "given", "field"), WRONG_TYPES)
async def test_a_wrong_type_is_told_with_the_go_field_and_type(
    api: Api, ns: Space, kind: str, body: object, given: str, field: str
) -> None:
    where, wanted = field.split(" ")
    answer = await api.create(getattr(ns, kind)(), body)
    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert answer.message.endswith(": " + INTO.format(given, where, wanted))


async def test_the_first_wrong_type_is_told_unless_a_text_is_worse(api: Api, ns: Space) -> None:
    plain = {"metadata": {"name": 5, "labels": {"a": 1}}}
    worse = {"metadata": {"name": 5, "creationTimestamp": "yesterday"}}
    first = await api.create(ns.configmaps(), plain)
    text = await api.create(ns.configmaps(), worse)
    assert "ObjectMeta.metadata.name of type string" in first.message
    assert 'parsing time "yesterday" as "2006-01-02T15:04:05Z07:00"' in text.message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x", 'as "2006-01-02T15:04:05.000000Z07:00": cannot parse "x" as "2006"'),
        ("2026-01-01T00:00:00Z", 'cannot parse "Z" as ".000000"'),
        ("2026-01-01T00:00:00.1234567Z", 'cannot parse "7Z" as "Z07:00"'),
        ("2026-13-01T00:00:00.000000Z", ": month out of range"),
        ("2026-02-30T00:00:00.000000Z", ": day out of range"),
        ("2026-01-01T24:00:00.000000Z", ": hour out of range"),
        ("2026-01-01T00:00:00.000000+99:00", ": time zone offset hour out of range"),
        ("2026-01-01T00:00:00.000000Zx", ': extra text: "x"'),
    ],
)
async def test_a_time_that_does_not_parse_says_where(
    api: Api, ns: Space, text: str, says: str
) -> None:
    answer = await api.create(ns.leases(), lease("a", {"renewTime": text}))
    assert answer.status == 400
    assert f'parsing time "{text}"' in answer.message
    assert answer.message.endswith(says)


async def test_a_time_is_kept_in_utc_and_the_first_one_is_none(api: Api, ns: Space) -> None:
    times = {
        "renewTime": "2026-01-01T05:30:00,000000+05:30",
        "acquireTime": "0001-01-01T00:00:00.000000Z",
    }
    answer = await api.create(ns.leases(), lease("a", times))
    spec = answer.ok().body["spec"]
    assert spec["renewTime"] == "2026-01-01T00:00:00.000000Z"
    assert spec.get("acquireTime") is None


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("08", "08"),
        ("1.", "1."),
        ("1.200", "1.200"),
        ("1E3", "1E3"),
        ("1000000", "1M"),
        ("0.5", "500m"),
        ("1024Ki", "1Mi"),
        ("1.5Gi", "1536Mi"),
        ("1n", "1m"),
        ("1.2345", "1235m"),
        ("1e20", "100e18"),
        ("9Ei", "9223372036854775807"),
        ("Mi", "0"),
    ],
)
async def test_a_quantity_is_kept_as_it_was_written_if_that_is_short(
    api: Api, ns: Space, text: str, kept: str
) -> None:
    body = {"metadata": {"name": "q"}, "spec": {"hard": {"requests.cpu": text}}}
    answer = await api.create(ns.path("/api/v1", "resourcequotas"), body, dryRun="All")
    assert answer.ok().body["spec"]["hard"]["requests.cpu"] == kept


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1x", "quantities must match the regular expression"),
        ("", "quantities must match the regular expression"),
        ("1K", "unable to parse quantity's suffix"),
        ("--1", "unable to parse quantity's suffix"),
    ],
)
async def test_what_is_no_quantity_says_so(api: Api, ns: Space, text: str, says: str) -> None:
    body = a_pod(resources={"limits": {"cpu": text}})
    answer = await api.create(ns.pods(), body)
    assert answer.status == 400
    assert says in answer.message


@pytest.mark.parametrize(
    ("text", "at"), [("%", 0), ("abc", 0), ("eA=", 3), ("eA==x", 4), ("e===", 1), ("not!", 3)]
)
async def test_bad_base64_says_at_which_byte(api: Api, ns: Space, text: str, at: int) -> None:
    answer = await api.create(ns.configmaps(), config_map("a") | {"binaryData": {"b": text}})
    assert answer.message.endswith(f"illegal base64 data at input byte {at}")


async def test_bytes_may_be_a_list_of_numbers(api: Api, ns: Space) -> None:
    answer = await api.create(
        ns.configmaps(), config_map("a") | {"binaryData": {"b": [1, 2], "c": None}}
    )
    assert answer.ok().body["binaryData"] == {"b": "AQI=", "c": ""}


@pytest.mark.parametrize("rules", [[], None])
async def test_an_empty_list_that_is_never_left_out_is_null(
    api: Api, ns: Space, rules: list[Object] | None
) -> None:
    path = ROLES.format(ns.name)
    made = await api.create(path, {"metadata": {"name": "r"}, "rules": rules})
    assert made.ok().body["rules"] is None
    assert (await api.get(f"{path}/r")).body["rules"] is None
    again = await api.replace(f"{path}/r", {"metadata": {"name": "r"}, "rules": rules})
    assert again.ok().version == made.version


async def test_faults_of_strict_decoding_come_in_the_order_of_the_text(api: Api, ns: Space) -> None:
    body = '{"metadata": {"name": "a", "bar": {"x": 1, "x": 2}, "name": "b"}, "foo": 1, "foo": 2,'
    body += '"data": {"k": "1", "k": "2"}, "data": {}}'
    answer = await api.create(ns.configmaps(), body, fieldValidation="Strict")
    assert answer.message.endswith(
        'strict decoding error: unknown field "metadata.bar", duplicate field "metadata.name", '
        'unknown field "foo", duplicate field "data.k", duplicate field "data"'
    )


async def test_a_repeated_map_adds_to_the_one_before(api: Api, ns: Space) -> None:
    body = '{"metadata": {"name": "a"}, "data": {"k": "1"}, "data": {"l": "2"}}'
    answer = await api.create(ns.configmaps(), body)
    assert answer.ok().body["data"] == {"k": "1", "l": "2"}


async def test_no_more_than_a_hundred_faults_are_told(api: Api, ns: Space) -> None:
    body = config_map("a") | {f"u{i}": 1 for i in range(120)}
    answer = await api.create(ns.configmaps(), body, fieldValidation="Strict")
    assert answer.message.count("unknown field") == 100


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('{"kind": 5}', ' of type string ({"kind": 5})'),
        ("[1, 2]", "} (5b312c20325d)"),
        (
            '{"apiVersion": "a/b/c"}',
            'unexpected GroupVersion string: a/b/c ({"apiVersion": "a/b/c"})',
        ),
        ('{"apiVersion": 5, "kind": "ConfigMap"}', '({"apiVersion": 5, "kind": "Con ...)'),
        (b"\xff" * 31, f"({'ff' * 30} ...)"),
    ],
)
async def test_a_body_without_kind_and_version_is_shown_by_its_start(
    api: Api, ns: Space, body: str | bytes, says: str
) -> None:
    answer = await api.create(ns.configmaps(), body)
    assert answer.status == 400
    head = "the object provided is unrecognized (must be of type ConfigMap): "
    assert answer.message.startswith(head)
    assert answer.message.endswith(says)


@pytest.mark.parametrize("kind", ["Status", "List", "ConfigMapList", "Pod"])
async def test_a_known_kind_that_is_another_cannot_be_converted(
    api: Api, ns: Space, kind: str
) -> None:
    answer = await api.create(ns.configmaps(), {"apiVersion": "v1", "kind": kind})
    assert answer.message == (
        f'{kind} in version "v1" cannot be handled as a ConfigMap: '
        f"converting (v1.{kind}) to (core.ConfigMap): unknown conversion"
    )


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("{a: 'yes', b: !!binary aGk=}", {"a": "yes", "b": "hi"}),
        ("{a: 2020-01-01, b: '1e3'}\n---\nkind: Secret", {"a": "2020-01-01", "b": "1e3"}),
        ("{1: a, yes: b}", {"1": "a", "true": "b"}),
    ],
)
async def test_the_first_document_of_a_yaml_text_counts(
    api: Api, ns: Space, text: str, data: Object
) -> None:
    body = "metadata: {name: a}\ndata: " + text
    answer = await api.create(ns.configmaps(), body, content_type=YAML)
    assert answer.ok().body["data"] == data


@pytest.mark.parametrize("number", ["5", "1e3", "0x10", "yes"])
async def test_a_scalar_of_yaml_may_be_no_string(api: Api, ns: Space, number: str) -> None:
    body = f"metadata: {{name: a}}\ndata: {{k: {number}}}"
    answer = await api.create(ns.configmaps(), body, content_type=YAML)
    assert "into Go struct field ConfigMap.data of type string" in answer.message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: b: c", "yaml: mapping values are not allowed in this context (613a20623a2063)"),
        ("k:\n\t- b", "yaml: line 2: found character that cannot start any token (6b3a0a092d2062)"),
        ("k: [a\n", "yaml: line 1: did not find expected ',' or ']' (6b3a205b610a)"),
        ("k: *a", "yaml: unknown anchor 'a' referenced (6b3a202a61)"),
    ],
)
async def test_a_fault_of_yaml_says_in_which_line(
    api: Api, ns: Space, text: str, says: str
) -> None:
    answer = await api.create(ns.configmaps(), text, content_type=YAML)
    assert answer.status == 400
    assert answer.message.endswith("(must be of type ConfigMap): " + says)


async def test_unknown_fields_of_yaml_come_sorted(api: Api, ns: Space) -> None:
    body = "metadata: {name: a, zed: 1}\nfoo: 1\nbar: 2\ndata: {k: a, k: b}"
    answer = await api.create(ns.configmaps(), body, content_type=YAML)
    assert answer.ok().warnings == (
        'line 4: key "k" already set in map',
        'unknown field "bar"',
        'unknown field "foo"',
        'unknown field "metadata.zed"',
    )


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("[]", "couldn't get version/kind; json parse error: json: cannot unmarshal array"),
        (
            {"gracePeriodSeconds": "x"},
            "Go struct field DeleteOptions.gracePeriodSeconds of type int64",
        ),
        ({"preconditions": {"uid": 5}}, "field Preconditions.preconditions.uid of type types.UID"),
        (
            {"propagationPolicy": 5},
            "DeleteOptions.propagationPolicy of type v1.DeletionPropagation",
        ),
    ],
)
async def test_options_of_a_deletion_are_decoded_like_objects(
    api: Api, ns: Space, body: object, says: str
) -> None:
    (await api.create(ns.configmaps(), config_map("a"))).ok()
    answer = await api.delete(ns.configmaps("a"), body)
    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert says in answer.message
    wrong = await api.delete(ns.configmaps("a"), "{}", content_type="text/plain")
    assert wrong.status == 415


async def test_the_data_of_a_revision_is_compared_by_its_text(api: Api, ns: Space) -> None:
    path = ns.path("/apis/apps/v1", "controllerrevisions")

    def body(data: str, revision: int) -> str:
        return f'{{"metadata": {{"name": "r"}}, "data": {data}, "revision": {revision}}}'

    spaced, compact = '{"b": 1, "a": 2}', '{"a":2,"b":1}'
    (await api.create(path, body(spaced, 1))).ok()
    same = await api.replace(f"{path}/r", body(spaced, 2))
    other = await api.replace(f"{path}/r", body(compact, 3))
    printed = await api.merge(f"{path}/r", {"revision": 4})
    applied = {"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {"name": "r"}}
    typed = await api.call(
        "PATCH",
        f"{path}/r",
        applied | {"revision": 5},
        content_type=APPLY_PATCH,
        fieldManager="m",
        force=True,
    )
    assert same.status == 200
    for answer in (other, printed, typed):
        assert (answer.status, answer.fields) == (422, {"data"})
    assert other.message.endswith('data: Invalid value: {"a":2,"b":1}: field is immutable')
