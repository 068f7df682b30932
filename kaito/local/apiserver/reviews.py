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
        options = write_options(call, "CreateOptions")
        want = self._handlers.want(call)
        obj = bodies.read_object(call.request, kind, self._core.kinds, options)
        obj.setdefault("metadata", {})
        check_namespace(call, obj)
        if kind.plural == "bindings":
            raise method_not_allowed()
        if kind.plural not in {"selfsubjectreviews", "selfsubjectrulesreviews"}:
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
                self._check_access(call, obj)
                obj["status"] = self._access(call.user, spec)
            case "selfsubjectrulesreviews":
                if not spec.get("namespace"):
                    raise bad_request("no namespace on request")
                obj["spec"] = {}
                obj["status"] = self._rules(call.user, spec.get("namespace", ""))
            case _:
                self._check_access(call, obj)
                user = User(spec.get("user", ""), tuple(spec.get("groups") or ()))
                obj["status"] = self._access(user, spec)
        return self._handlers.answer(kind, obj, want, 201)

    @staticmethod
    def _info(user: User) -> Object:
        found: Object = {"username": user.name, "groups": list(user.groups)}
        if user.uid:
            found["uid"] = user.uid
        if user.extra:
            found["extra"] = user.extra
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
    def _check_access(call: Call, obj: Object) -> None:
        """Raises StatusError (422)."""
        spec, meta = obj.get("spec") or {}, obj["metadata"]
        local = call.kind.namespaced
        errors = []
        resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
        shown = {"Path": (path or {}).get("path", ""), "Verb": (path or {}).get("verb", "")}
        where = "spec.nonResourceAttributes"
        if resource is not None and path is not None:
            why = "cannot be specified in combination with resourceAttributes"
            errors.append(wrong(where, shown, why))
        if resource is None and path is None:
            why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
            errors.append(wrong("spec.resourceAttributes", None, why))
        for selector in ("fieldSelector", "labelSelector"):
            found = (resource or {}).get(selector) or {}
            if found.get("rawSelector") and found.get("requirements"):
                field = f"spec.resourceAttributes.{selector}.rawSelector"
                why = "may not specified at the same time as requirements"
                errors.append(wrong(field, found["rawSelector"], why))
        known = call.kind.plural.startswith("self") or spec.get("user") or spec.get("groups")
        if not known:
            why = "at least one of user or group must be specified"
            errors.append(wrong("spec.user", "", why))
        if {k for k in meta if k != "managedFields"} - ({"namespace"} if local else set()):
            detail = "must be empty except for namespace" if local else "must be empty"
            errors.append(wrong("metadata", meta, detail))
        if (
            local
            and resource is not None
            and resource.get("namespace", "") != meta.get("namespace")
        ):
            field = "spec.resourceAttributes.namespace"
            errors.append(
                wrong(field, resource.get("namespace", ""), "must match metadata.namespace")
            )
        if local and path is not None:
            errors.append(wrong(where, shown, "disallowed on this kind of request"))
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
        rules = [grant.rule for grant in self._authorizer.grants(user, namespace)]
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
