"""Who asks, what they may do, and the reviews that tell."""

from __future__ import annotations

import pytest

from test.conformance.client import Answer, Api
from test.conformance.objects import Space

pytestmark = pytest.mark.apiserver

RBAC = "/apis/rbac.authorization.k8s.io/v1"
AUTHORIZATION = "/apis/authorization.k8s.io/v1"
AUTHENTICATION = "/apis/authentication.k8s.io/v1"
NOBODY = {"Authorization": ""}


def acting_as(user: str) -> dict[str, str]:
    return {"Impersonate-User": user}


@pytest.fixture
async def reader(api: Api, ns: Space) -> dict[str, str]:
    """The headers of a user who may read the secrets of the namespace and nothing else."""
    role = {
        "metadata": {"name": "reader"},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}],
    }
    binding = {
        "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": ns.name}],
    }
    (await api.create(ns.path(RBAC, "roles"), role)).ok()
    (await api.create(ns.path(RBAC, "rolebindings"), binding)).ok()
    headers = acting_as(ns.name)
    await api.repeat(
        lambda: api.get(ns.secrets(), headers=headers), lambda answer: answer.status == 200
    )
    return headers


async def test_who_shows_no_token_is_anonymous(api: Api, ns: Space) -> None:
    answer = await api.get(ns.configmaps(), headers=NOBODY)
    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert answer.message == (
        'configmaps is forbidden: User "system:anonymous" cannot list resource "configmaps" '
        f'in API group "" in the namespace "{ns.name}"'
    )


async def test_a_wrong_token_is_unauthorized(api: Api, ns: Space) -> None:
    answer = await api.get(ns.configmaps(), headers={"Authorization": "Bearer wrong"})
    assert (answer.status, answer.reason) == (401, "Unauthorized")


@pytest.mark.parametrize("path", ["/version", "/readyz", "/livez", "/healthz"])
async def test_health_and_version_are_open_to_all(api: Api, path: str) -> None:
    assert (await api.get(path, headers=NOBODY)).status == 200


async def test_anonymous_may_not_discover(api: Api) -> None:
    answer = await api.get("/apis", headers=NOBODY)
    assert answer.status == 403
    assert answer.message == 'forbidden: User "system:anonymous" cannot get path "/apis"'


async def test_a_role_grants_what_it_names(api: Api, ns: Space, reader: dict[str, str]) -> None:
    read = await api.get(ns.secrets("none"), headers=reader)
    written = await api.create(ns.secrets(), {"metadata": {"name": "s"}}, headers=reader)
    other = await api.get(ns.configmaps(), headers=reader)
    assert (read.status, written.status, other.status) == (404, 403, 403)
    assert written.message == (
        f'secrets is forbidden: User "{ns.name}" cannot create resource "secrets" '
        f'in API group "" in the namespace "{ns.name}"'
    )


async def test_who_applies_what_is_not_there_has_to_have_the_right_to_create_it(
    api: Api, ns: Space
) -> None:
    role = {
        "metadata": {"name": "patcher"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["patch"]}],
    }
    binding = {
        "metadata": {"name": "patcher"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "patcher"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": ns.name}],
    }
    (await api.create(ns.path(RBAC, "roles"), role)).ok()
    (await api.create(ns.path(RBAC, "rolebindings"), binding)).ok()
    (await api.create(ns.configmaps(), {"metadata": {"name": "there"}})).ok()

    async def apply(name: str) -> Answer:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
        headers = acting_as(ns.name)
        return await api.apply(ns.configmaps(name), body, "somebody", headers=headers)

    await api.repeat(lambda: apply("there"), lambda answer: answer.status == 200)
    answer = await apply("new")
    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert answer.message.startswith('configmaps "new" is forbidden:')


async def test_a_role_ends_at_its_namespace(api: Api, ns: Space, reader: dict[str, str]) -> None:
    answer = await api.get("/api/v1/namespaces/default/secrets", headers=reader)
    everywhere = await api.get("/api/v1/secrets", headers=reader)
    assert (answer.status, everywhere.status) == (403, 403)
    assert "at the cluster scope" in everywhere.message


async def test_an_access_review_answers_for_the_asker(
    api: Api, ns: Space, reader: dict[str, str]
) -> None:
    for verb, allowed in (("get", True), ("delete", False)):
        attributes = {"verb": verb, "resource": "secrets", "namespace": ns.name}
        body = {"spec": {"resourceAttributes": attributes}}
        path = f"{AUTHORIZATION}/selfsubjectaccessreviews"
        answer = await api.create(path, body, headers=reader)
        assert answer.status == 201
        assert answer.body["status"]["allowed"] is allowed


async def test_an_access_review_answers_for_another(
    api: Api, ns: Space, reader: dict[str, str]
) -> None:
    attributes = {"verb": "list", "resource": "secrets", "namespace": ns.name}
    for user, allowed in ((ns.name, True), ("stranger", False)):
        body = {"spec": {"user": user, "resourceAttributes": attributes}}
        answer = await api.create(f"{AUTHORIZATION}/subjectaccessreviews", body)
        assert answer.body["status"]["allowed"] is allowed


async def test_a_rules_review_lists_what_is_granted(
    api: Api, ns: Space, reader: dict[str, str]
) -> None:
    body = {"spec": {"namespace": ns.name}}
    path = f"{AUTHORIZATION}/selfsubjectrulesreviews"
    answer = await api.create(path, body, headers=reader)
    rules = answer.ok().body["status"]["resourceRules"]
    assert {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["secrets"]} in rules


async def test_a_subject_review_tells_who_one_is(api: Api) -> None:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    path = f"{AUTHENTICATION}/selfsubjectreviews"
    answer = await api.create(path, body, headers=acting_as("somebody"))
    assert answer.status == 201
    user = answer.body["status"]["userInfo"]
    assert user["username"] == "somebody"
    assert "system:authenticated" in user["groups"]


async def test_a_review_of_a_foreign_token_does_not_authenticate(api: Api) -> None:
    answer = await api.create(f"{AUTHENTICATION}/tokenreviews", {"spec": {"token": "wrong"}})
    assert answer.status == 201
    assert not answer.body["status"].get("authenticated")


async def test_who_may_not_impersonate_is_forbidden(
    api: Api, ns: Space, reader: dict[str, str]
) -> None:
    """A service account asks in the name of another."""
    path = ns.path("/api/v1", "serviceaccounts")
    (await api.create(path, {"metadata": {"name": "robot"}})).ok()
    issued = await api.create(f"{path}/robot/token", {"spec": {}})
    token = issued.ok().body["status"]["token"]
    headers = {"Authorization": f"Bearer {token}", **reader}
    answer = await api.get(ns.secrets(), headers=headers)
    assert answer.status == 403
    assert "cannot impersonate" in answer.message


async def test_who_may_impersonate_a_user_may_not_take_any_group_along(api: Api, ns: Space) -> None:
    """Else the right to be somebody would be the right to be an administrator."""
    name = f"double-{ns.name}"
    rule = {"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"]}
    role = {"metadata": {"name": name}, "rules": [rule]}
    binding = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": ns.name}],
    }
    accounts = ns.path("/api/v1", "serviceaccounts")
    (await api.create(accounts, {"metadata": {"name": "robot"}})).ok()
    (await api.create(f"{RBAC}/clusterroles", role)).ok()
    (await api.create(f"{RBAC}/clusterrolebindings", binding)).ok()
    issued = await api.create(f"{accounts}/robot/token", {"spec": {}})
    token = issued.ok().body["status"]["token"]
    headers = {"Authorization": f"Bearer {token}", "Impersonate-User": "bob"}
    alone = await api.repeat(
        lambda: api.get(ns.secrets(), headers=headers),
        lambda answer: "cannot impersonate" not in answer.message,
    )
    assert 'User "bob" cannot list' in alone.message
    answer = await api.get(ns.secrets(), headers={**headers, "Impersonate-Group": "system:masters"})
    assert answer.status == 403
    assert 'cannot impersonate resource "groups"' in answer.message
    for kind in ("clusterroles", "clusterrolebindings"):
        await api.delete(f"{RBAC}/{kind}/{name}")


async def test_a_role_binding_cannot_change_its_role(
    api: Api, ns: Space, reader: dict[str, str]
) -> None:
    path = ns.path(RBAC, "rolebindings", "reader")
    answer = await api.merge(path, {"roleRef": {"name": "other"}})
    assert answer.status == 422
    assert answer.fields == {"roleRef"}


def _role(name: str, *rules: tuple[str, str, str]) -> dict[str, object]:
    listed = [
        {"apiGroups": [group], "resources": [resource], "verbs": verbs.split()}
        for group, resource, verbs in rules
    ]
    return {"metadata": {"name": name}, "rules": listed}


@pytest.fixture
async def author(api: Api, ns: Space) -> dict[str, str]:
    """The headers of a user who may write roles and bindings and read pods."""
    name = f"{ns.name}-author"
    rules = [
        ("rbac.authorization.k8s.io", "roles", "create update get"),
        ("rbac.authorization.k8s.io", "rolebindings", "create update get"),
        ("", "pods", "get list"),
    ]
    binding = {
        "metadata": {"name": "author"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "author"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}],
    }
    (await api.create(ns.path(RBAC, "roles"), _role("author", *rules))).ok()
    (await api.create(ns.path(RBAC, "rolebindings"), binding)).ok()
    headers = acting_as(name)
    await api.repeat(
        lambda: api.get(ns.pods(), headers=headers), lambda answer: answer.status == 200
    )
    return headers


async def test_nobody_grants_by_a_role_what_they_may_not_do(
    api: Api, ns: Space, author: dict[str, str]
) -> None:
    path = ns.path(RBAC, "roles")
    held = await api.create(path, _role("held", ("", "pods", "list")), headers=author)
    assert held.status == 201
    more = _role("more", ("", "pods", "list delete"), ("apps", "deployments", "get"))
    answer = await api.create(path, more, headers=author)
    assert answer.status == 403
    assert answer.message == (
        f'roles.rbac.authorization.k8s.io "more" is forbidden: user "{ns.name}-author" '
        '(groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently '
        'held:\n{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}\n'
        '{APIGroups:["apps"], Resources:["deployments"], Verbs:["get"]}'
    )


async def test_nobody_binds_a_role_that_may_do_more(
    api: Api, ns: Space, author: dict[str, str]
) -> None:
    def binding(role: str) -> dict[str, object]:
        group = "rbac.authorization.k8s.io"
        return {
            "metadata": {"name": f"to-{role}"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": group, "kind": "User", "name": "someone"}],
        }

    path = ns.path(RBAC, "rolebindings")
    answer = await api.create(path, binding("cluster-admin"), headers=author)
    assert answer.status == 403
    assert answer.message.endswith(
        '{APIGroups:["*"], Resources:["*"], Verbs:["*"]}\n{NonResourceURLs:["*"], Verbs:["*"]}'
    )
    missing = await api.create(path, binding("conformance-nothing"), headers=author)
    assert missing.status == 404


@pytest.mark.parametrize(
    ("plural", "spec", "why"),
    [
        (
            "subjectaccessreviews",
            {"resourceAttributes": {"verb": "get", "resource": "pods"}},
            'spec.user: Invalid value: "": at least one of user or group must be specified',
        ),
        (
            "selfsubjectaccessreviews",
            {"resourceAttributes": {}, "nonResourceAttributes": {"path": "/x", "verb": "get"}},
            (
                'spec.nonResourceAttributes: Invalid value: {"Path":"/x","Verb":"get"}: cannot be '
                "specified in combination with resourceAttributes"
            ),
        ),
        (
            "namespaces/{}/localsubjectaccessreviews",
            {"user": "u", "resourceAttributes": {"namespace": "other"}},
            (
                'spec.resourceAttributes.namespace: Invalid value: "other": must match '
                "metadata.namespace"
            ),
        ),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(
    api: Api, ns: Space, plural: str, spec: dict[str, object], why: str
) -> None:
    answer = await api.create(f"{AUTHORIZATION}/{plural.format(ns.name)}", {"spec": spec})
    assert answer.status == 422
    assert answer.message == f'.authorization.k8s.io "" is invalid: {why}'


async def test_a_token_review_needs_a_token(api: Api) -> None:
    answer = await api.create(f"{AUTHENTICATION}/tokenreviews", {"spec": {}})
    assert answer.status == 400
    assert answer.message == "token is required for TokenReview in authentication"


async def test_a_namespace_is_asked_for_within_itself(api: Api, ns: Space) -> None:
    answer = await api.get(f"/api/v1/namespaces/{ns.name}", headers=NOBODY)
    assert answer.message.endswith(f'in API group "" in the namespace "{ns.name}"')


async def test_the_name_in_a_field_selector_counts_as_the_name_asked_for(
    api: Api, ns: Space
) -> None:
    answer = await api.get(ns.pods(), fieldSelector="metadata.name=one", headers=NOBODY)
    assert answer.message.startswith('pods "one" is forbidden: ')


async def test_a_group_is_not_borrowed_without_a_name(api: Api, ns: Space) -> None:
    answer = await api.get(ns.pods(), headers={"Impersonate-Group": "g"})
    assert answer.status == 400
    assert answer.message.endswith("without impersonating a user name")


async def test_what_is_known_of_a_borrowed_user_is_shown(api: Api) -> None:
    headers = {"Impersonate-User": "u", "Impersonate-Uid": "7", "Impersonate-Extra-Scopes": "a"}
    answer = await api.create(f"{AUTHENTICATION}/selfsubjectreviews", {}, headers=headers)
    found = answer.body["status"]["userInfo"]
    assert (found["uid"], found["extra"]) == ("7", {"scopes": ["a"]})
