"""Reviews: questions about tokens and permissions, answered and never stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kaito.local.apiserver import bodies
from kaito.local.apiserver.core import Call, Core, User
from kaito.local.apiserver.creates import check_namespace, empty, ownership
from kaito.local.apiserver.fields import wrong
from kaito.local.apiserver.handlers import Handlers
from kaito.local.apiserver.http import Response
from kaito.local.apiserver.options import write_options
from kaito.local.apiserver.rbac import Attributes, Authorizer
from kaito.local.apiserver.status import bad_request, invalid, method_not_allowed

Object = dict[str, Any]


class Reviews:
    """Answers TokenReview, the access reviews and SelfSubjectReview."""

    def __init__(
        self,
        core: Core,
        handlers: Handlers,
        authorizer: Authorizer,
        user_of: Callable[[str], User | None],
    ) -> None:
        self._core = core
        self._handlers = handlers
        self._authorizer = authorizer
        self._user_of = user_of

    async def serve(self, call: Call) -> Response:
        """Raises StatusError."""
        kind = call.kind
        options = write_options(call.request, call.query, "CreateOptions")
        want = self._handlers.want(call)
        obj = bodies.read_object(call.request, kind, self._core.kinds, options)
        obj.setdefault("metadata", {})
        check_namespace(call, obj)
        if kind.plural == "bindings":
            raise method_not_allowed()
        if kind.plural != "selfsubjectreviews":
            ownership(self._core.kinds, kind).update(
                empty(kind), obj, options.manager, self._core.stamp()
            )
            obj["metadata"].pop("creationTimestamp", None)
        spec = obj.get("spec") or {}
        match kind.plural:
            case "selfsubjectreviews":
                obj["metadata"] = {"creationTimestamp": self._core.stamp()}
                obj["status"] = {"userInfo": self._info(call.user)}
            case "tokenreviews":
                if not spec.get("token"):
                    raise bad_request("token is required for TokenReview in authentication")
                obj["status"] = self._token(spec)
            case "selfsubjectaccessreviews":
                self._check_access(call, spec, own=True)
                obj["status"] = self._access(call.user, spec)
            case "selfsubjectrulesreviews":
                if not spec.get("namespace"):
                    raise bad_request("no namespace on request")
                obj["status"] = self._rules(call.user, spec.get("namespace", ""))
            case _:
                self._check_access(call, spec, own=False)
                user = User(spec.get("user", ""), tuple(spec.get("groups") or ()))
                obj["status"] = self._access(user, spec)
        response = self._handlers.answer(kind, obj, want, 201)
        response.warnings = options.warnings
        return response

    @staticmethod
    def _info(user: User) -> Object:
        found: Object = {"username": user.name, "groups": list(user.groups)}
        if user.uid:
            found["uid"] = user.uid
        return found

    def _token(self, spec: Object) -> Object:
        user = self._user_of(spec.get("token", ""))
        if user is None:
            return {"user": {}, "error": "invalid bearer token"}
        status: Object = {"authenticated": True, "user": self._info(user)}
        if spec.get("audiences"):
            status["audiences"] = spec["audiences"]
        return status

    @staticmethod
    def _check_access(call: Call, spec: Object, *, own: bool) -> None:
        errors = []
        both = ("resourceAttributes" in spec, "nonResourceAttributes" in spec)
        if all(both):
            errors.append(
                wrong(
                    "spec.nonResourceAttributes",
                    spec["nonResourceAttributes"],
                    "cannot be specified in combination with resourceAttributes",
                )
            )
        if not any(both):
            errors.append(
                wrong(
                    "spec.resourceAttributes",
                    None,
                    "exactly one of nonResourceAttributes or resourceAttributes must be specified",
                )
            )
        if not own and not spec.get("user") and not spec.get("groups"):
            says = "at least one of user or group must be specified"
            errors.append(wrong("spec.user", spec.get("user", ""), says))
        if errors:
            raise invalid(call.kind.group, "", "", errors)

    def _access(self, user: User, spec: Object) -> Object:
        resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
        if resource is not None:
            wanted = Attributes(
                user,
                resource.get("verb", ""),
                resource.get("group", ""),
                resource.get("resource", ""),
                resource.get("subresource", ""),
                resource.get("namespace", ""),
                resource.get("name", ""),
            )
        else:
            assert path is not None
            wanted = Attributes(user, path.get("verb", ""), path=path.get("path", ""))
        allowed, reason = self._authorizer.decide(wanted)
        status: Object = {"allowed": allowed}
        if reason:
            status["reason"] = reason
        return status

    def _rules(self, user: User, namespace: str) -> Object:
        rules = [r for r, _ in self._authorizer.rules(user, namespace)]
        if "system:masters" in user.groups:
            rules = [
                {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
                {"verbs": ["*"], "nonResourceURLs": ["*"]},
            ]
        return {
            "resourceRules": [
                {k: r[k] for k in ("verbs", "apiGroups", "resources", "resourceNames") if k in r}
                for r in rules
                if "resources" in r
            ],
            "nonResourceRules": [
                {"verbs": r["verbs"], "nonResourceURLs": r["nonResourceURLs"]}
                for r in rules
                if "nonResourceURLs" in r
            ],
            "incomplete": False,
        }
