"""Bodies, paths and parameters that make no sense, and field validation."""

from __future__ import annotations

import pytest

from test.conformance.client import Api
from test.conformance.objects import Object, Space, config_map, deployment, pod

pytestmark = pytest.mark.apiserver


@pytest.mark.parametrize("body", ["{", "", "[]", '"text"', "5", "{]}"])
async def test_a_body_that_is_no_object_is_a_bad_request(api: Api, ns: Space, body: str) -> None:
    answer = await api.create(ns.configmaps(), body)
    assert (answer.status, answer.reason) == (400, "BadRequest")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}},
            'Secret in version "v1" cannot be handled as a ConfigMap',
        ),
        (
            {"apiVersion": "v2", "kind": "ConfigMap", "metadata": {"name": "a"}},
            'no kind "ConfigMap" is registered for version "v2"',
        ),
        (config_map("a", {"k": 1}), "json: cannot unmarshal number into Go struct field"),
        (config_map("a", []), "cannot unmarshal array into Go struct field ConfigMap.data"),
        ({"metadata": {"name": 5}}, "Go struct field ObjectMeta.metadata.name of type string"),
    ],
)
async def test_a_body_of_the_wrong_type_is_a_bad_request(
    api: Api, ns: Space, body: Object, message: str
) -> None:
    answer = await api.create(ns.configmaps(), body)
    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert message in answer.message


async def test_a_built_in_kind_may_be_left_unsaid(api: Api, ns: Space) -> None:
    answer = await api.create(ns.configmaps(), {"metadata": {"name": "a"}})
    assert answer.status == 201
    assert answer.body["kind"] == "ConfigMap"


async def test_strict_validation_refuses_unknown_fields(api: Api, ns: Space) -> None:
    body = config_map("a", label={}) | {"dato": {}}
    answer = await api.create(ns.configmaps(), body, fieldValidation="Strict")
    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert answer.message.endswith(
        'strict decoding error: unknown field "metadata.label", unknown field "dato"'
    )


async def test_unknown_fields_are_warned_of_and_dropped(api: Api, ns: Space) -> None:
    answer = await api.create(ns.configmaps(), config_map("a") | {"dato": {}})
    assert answer.status == 201
    assert answer.warnings == ('unknown field "dato"',)
    assert "dato" not in answer.body


async def test_unknown_fields_can_be_ignored(api: Api, ns: Space) -> None:
    body = config_map("a") | {"dato": {}}
    answer = await api.create(ns.configmaps(), body, fieldValidation="Ignore")
    assert (answer.status, answer.warnings) == (201, ())


async def test_unknown_fields_are_found_at_any_depth(api: Api, ns: Space) -> None:
    body = deployment("d")
    body["spec"]["replica"] = 1
    body["spec"]["template"]["spec"]["containers"][0]["comand"] = ["x"]
    answer = await api.create(ns.deployments(), body)
    assert set(answer.warnings) == {
        'unknown field "spec.replica"',
        'unknown field "spec.template.spec.containers[0].comand"',
    }


async def test_repeated_fields_are_warned_of_and_the_last_counts(api: Api, ns: Space) -> None:
    body = '{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"},'
    body += '"data":{"k":"1","k":"2"}}'
    answer = await api.create(ns.configmaps(), body)
    assert answer.warnings == ('duplicate field "data.k"',)
    assert answer.body["data"] == {"k": "2"}


async def test_an_unknown_validation_is_refused(api: Api, ns: Space) -> None:
    answer = await api.create(ns.configmaps(), config_map("a"), fieldValidation="Loud")
    assert answer.status == 422
    assert answer.fields == {"fieldValidation"}


@pytest.mark.parametrize("manager", ["m" * 129, "a\x00b"])
async def test_a_field_manager_must_be_short_and_printable(
    api: Api, ns: Space, manager: str
) -> None:
    answer = await api.create(ns.configmaps(), config_map("a"), fieldManager=manager)
    assert answer.status == 422
    assert answer.fields == {"fieldManager"}


async def test_unknown_parameters_are_ignored(api: Api, ns: Space) -> None:
    assert (await api.get(ns.configmaps(), nothing="1")).status == 200


@pytest.mark.parametrize("parameter", ["timeoutSeconds", "limit"])
async def test_a_parameter_that_is_no_number_is_a_bad_request(
    api: Api, ns: Space, parameter: str
) -> None:
    answer = await api.get(ns.configmaps(), **{parameter: "soon"})
    assert (answer.status, answer.reason) == (400, "BadRequest")


async def test_a_method_that_a_path_lacks_is_not_allowed(api: Api, ns: Space) -> None:
    (await api.create(ns.configmaps(), config_map("a"))).ok()
    for method, path in (("POST", ns.configmaps("a")), ("PUT", ns.configmaps())):
        answer = await api.call(method, path, config_map("a"))
        assert (answer.status, answer.reason) == (405, "MethodNotAllowed")
        assert answer.message == "the server does not allow this method on the requested resource"


async def test_a_namespace_that_is_missing_takes_nothing(api: Api, word: str) -> None:
    space = Space(f"{word}-none")
    answer = await api.create(space.configmaps(), config_map("a"))
    assert (answer.status, answer.reason) == (404, "NotFound")
    assert answer.message == f'namespaces "{space.name}" not found'


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        ({"containers": []}, {"spec.containers"}),
        ({"containers": [{"name": "a"}]}, {"spec.containers[0].image"}),
        ({"containers": [{"name": "A", "image": "i"}]}, {"spec.containers[0].name"}),
        (
            {"containers": [{"name": "a", "image": "i"}, {"name": "a", "image": "i"}]},
            {"spec.containers[1].name"},
        ),
        ({"restartPolicy": "Sometimes"}, {"spec.restartPolicy"}),
        ({"volumes": [{"name": "v"}, {"name": "v"}]}, {"spec.volumes[1].name"}),
        (
            {
                "containers": [
                    {"name": "a", "image": "i", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
                ]
            },
            {"spec.containers[0].volumeMounts[0].name"},
        ),
        (
            {"containers": [{"name": "a", "image": "i", "ports": [{"containerPort": 70000}]}]},
            {"spec.containers[0].ports[0].containerPort"},
        ),
        ({"terminationGracePeriodSeconds": -1, "hostname": "A_b"}, {"spec.hostname"}),
        ({"tolerations": [{"operator": "Exists", "value": "x"}]}, {"spec.tolerations[0].operator"}),
    ],
)
async def test_a_pod_that_is_not_valid_is_refused_by_field(
    api: Api, ns: Space, spec: Object, fields: set[str]
) -> None:
    answer = await api.create(ns.pods(), pod("p", **spec))
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert answer.fields == fields


async def test_requests_may_not_exceed_limits(api: Api, ns: Space) -> None:
    resources = {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}
    container = {"name": "a", "image": "i", "resources": resources}
    answer = await api.create(ns.pods(), pod("p", containers=[container]))
    assert answer.fields == {"spec.containers[0].resources.requests"}
    assert "must be less than or equal to cpu limit of 1" in answer.message


async def test_a_quantity_that_does_not_parse_is_a_bad_request(api: Api, ns: Space) -> None:
    resources = {"requests": {"cpu": "lots"}}
    container = {"name": "a", "image": "i", "resources": resources}
    answer = await api.create(ns.pods(), pod("p", containers=[container]))
    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert "quantities must match the regular expression" in answer.message


async def test_the_labels_of_a_template_must_match_its_selector(api: Api, ns: Space) -> None:
    body = deployment("d")
    body["spec"]["selector"] = {"matchLabels": {"other": "x"}}
    answer = await api.create(ns.deployments(), body)
    assert answer.fields == {"spec.template.metadata.labels"}
    assert "`selector` does not match template `labels`" in answer.message
