"""Dispatch: from a request below /api or /apis to the handler of its verb."""

from __future__ import annotations

from kaito.local.apiserver.audit import Audit
from kaito.local.apiserver.authorizing import require
from kaito.local.apiserver.core import Call, User
from kaito.local.apiserver.creates import check_name
from kaito.local.apiserver.discovery import Discovery
from kaito.local.apiserver.handlers import Handlers
from kaito.local.apiserver.http import Request, Response
from kaito.local.apiserver.kinds import Kind, Kinds
from kaito.local.apiserver.paths import Target, target
from kaito.local.apiserver.rbac import Authorizer
from kaito.local.apiserver.reviews import Reviews
from kaito.local.apiserver.status import (
    PlainError,
    StatusError,
    bad_request,
    method_not_allowed,
    no_page,
    no_resource,
    not_found,
    unsupported_verb,
)
from kaito.local.apiserver.subresources import Subresources

METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


class Dispatcher:
    """Finds the resource, asks whether the user may, and hands over."""

    def __init__(
        self,
        kinds: Kinds,
        authorizer: Authorizer,
        audit: Audit,
        discovery: Discovery,
        handlers: Handlers,
        subresources: Subresources,
        reviews: Reviews,
    ) -> None:
        self._kinds = kinds
        self._authorizer = authorizer
        self._audit = audit
        self._discovery = discovery
        self._handlers = handlers
        self._subresources = subresources
        self._reviews = reviews

    async def serve(self, request: Request, user: User) -> Response:
        """Raises StatusError and PlainError."""
        parts = [p for p in request.path.split("/") if p]
        if len(parts) > (2 if parts[0] == "api" else 3):
            return await self.resource(request, user)
        require(self._authorizer, self._audit, user, request, None, request.method.lower())
        self._known(parts)
        if request.method != "GET" and (parts[0] == "api" or len(parts) == 3):
            raise method_not_allowed()
        return self._discovery.answer(request, parts)

    def _known(self, parts: list[str]) -> None:
        """An unknown version of a built-in group is a Status, an unknown group plain text."""
        if len(parts) == 1:
            return
        group = "" if parts[0] == "api" else parts[1]
        versions = self._kinds.groups().get(group)
        if versions is None:
            raise no_page()
        if parts[-1] not in versions and (group == "" or len(parts) == 3):
            raise self._nobody(group)

    async def resource(self, request: Request, user: User) -> Response:
        """Raises StatusError and PlainError."""
        query = request.parameters()
        goal = target(request.path)
        if request.method not in METHODS:
            raise method_not_allowed()
        if goal is None:
            raise self._no_target(request.path)
        if goal.plural == "watch":
            raise PlainError(
                500,
                f'Internal Server Error: "{request.path}": failed to create RequestInfo: unable '
                f"to determine kind and namespace from url, {request.path}\n",
            )
        if goal.watching and request.method != "GET":
            raise method_not_allowed()
        verb = goal.verb(request.method, query)
        require(self._authorizer, self._audit, user, request, goal, verb)
        kind = self._kinds.get(goal.group, goal.version, goal.plural)
        if kind is None or bool(goal.namespace) > kind.namespaced:
            raise self._nobody(goal.group)
        call = Call(request, query, goal, kind, user, verb)
        notes = [kind.deprecation] if kind.deprecation else []
        try:
            response = await self._call(call)
        except StatusError as error:
            notes = [] if error.code == 405 and verb != "watch" else notes
            error.warnings = [*notes, *call.warnings]
            raise
        response.warnings = [*notes, *call.warnings]
        return response

    async def _call(self, call: Call) -> Response:
        """Raises StatusError."""
        goal, kind, verb = call.target, call.kind, call.verb
        if goal.subresource:
            self._check_subresource(kind, goal, verb)
            return await self._subresources.serve(call)
        if kind.reviewed:
            if goal.name or bool(goal.namespace) < kind.namespaced:
                raise no_resource()
            if verb != "create":
                raise method_not_allowed()
            if kind.plural == "bindings":
                return await self._subresources.pods.bind_named(call)
            return await self._reviews.serve(call)
        if kind.namespaced and not goal.namespace and verb not in {"list", "watch"}:
            if kind.custom:
                raise no_page()
            raise method_not_allowed() if not goal.name else no_resource()
        if verb not in kind.verbs and verb != "watch":
            raise method_not_allowed()
        method = call.request.method
        nameless = not goal.name and method in {"PUT", "PATCH"}
        if kind.custom and nameless:
            raise bad_request("name must be provided")
        if nameless or (goal.name and method == "POST" and not kind.custom):
            raise method_not_allowed()
        if verb == "watch" and "watch" not in kind.verbs:
            raise unsupported_verb(kind, verb)
        if verb != "update":
            check_name(goal.name)
        return await self._handlers.serve(call)

    @staticmethod
    def _check_subresource(kind: Kind, goal: Target, verb: str) -> None:
        known = kind.subresources.get(goal.subresource)
        if known is None:
            if kind.custom:
                raise not_found(kind.group, kind.plural, goal.name)
            raise no_resource()
        if verb not in known.verbs and goal.subresource != "proxy":
            raise unsupported_verb(kind, verb) if kind.custom else method_not_allowed()

    def _no_target(self, path: str) -> Exception:
        parts = [p for p in path.split("/") if p]
        return self._nobody("" if parts[0] == "api" else parts[1])

    def _nobody(self, group: str) -> Exception:
        """The 404 of a path: JSON inside built-in groups, plain text elsewhere."""
        builtin = not group or any(k.group == group and not k.custom for k in self._kinds)
        return no_resource() if builtin else no_page()
