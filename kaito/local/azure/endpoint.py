"""The HTTP side of the cloud: authenticates, finds out what is asked, answers at once.

Long operations end by a timer of the clock, never inside a request.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kaito.local.apiserver.http import Request, Response
from kaito.local.azure.account import Account
from kaito.local.azure.errors import ArmError, refuse
from kaito.local.azure.ledger import Ledger
from kaito.local.azure.pools import AgentPools, Durations, Outcome, Pool, Preconditions, Verb
from kaito.local.azure.routes import OneOperation, OnePool, PoolList, route
from kaito.local.azure.sizes import VmSizes
from kaito.local.azure.wire import operation_wire, pool_wire
from kaito.local.profile import Profile
from kaito.runtime import Clock
from kaito.runtime.clock import Timer

MOUNT = "/subscriptions/"
PAGE_SIZE = 100
OPERATIONS_API_VERSION = "2017-08-31"
# What ARM allows a subscription in an hour; shown, not enforced.
_QUOTA = {
    "GET": ("x-ms-ratelimit-remaining-subscription-reads", "11999"),
    "PUT": ("x-ms-ratelimit-remaining-subscription-writes", "1199"),
    "POST": ("x-ms-ratelimit-remaining-subscription-writes", "1199"),
    "DELETE": ("x-ms-ratelimit-remaining-subscription-deletes", "14999"),
}


class AzureEndpoint:
    """Serves agent pools. Mount `handle` at MOUNT; `on_change` hears of pools whose Nodes may
    have to change and returns at once.

    `tokens` are the bearer tokens that are let in. With `directory` pools and operations outlive
    the process, and operations that were running go on.
    """

    def __init__(
        self,
        *,
        account: Account,
        sizes: VmSizes,
        tokens: Collection[str],
        profile: Profile,
        clock: Clock,
        on_change: Callable[[str], None],
        directory: Path | None = None,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._account = account
        self._tokens = frozenset(tokens)
        self._clock = clock
        self._on_change = on_change
        self._new_id = new_id
        self._timer: Timer | None = None
        self._pools = AgentPools(
            location=account.location,
            sizes=sizes,
            durations=Durations(create=profile.pool_create, delete=profile.pool_delete),
            new_id=new_id,
            faults=profile.faults,
        )
        if directory is not None:
            ledger = Ledger(directory)
            self._pools.restore(ledger.pools(), ledger.operations())
            self._pools.keep, self._pools.drop = ledger.keep, ledger.drop

    @property
    def account(self) -> Account:
        return self._account

    def pool(self, name: str) -> Pool | None:
        """A pool as it is now, None when there is none of that name."""
        return self._pools.find(name)

    def pools(self) -> list[Pool]:
        """All pools as they are now, by name."""
        return list(self._pools)

    def start(self) -> None:
        """Go on with the operations that an earlier run left."""
        self._settle()

    def stop(self) -> None:
        """Let nothing happen any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        self._settle()
        name, remaining = _QUOTA.get(request.method, _QUOTA["GET"])
        correlation = request.headers.get("x-ms-correlation-request-id") or self._new_id()
        headers = {
            "x-ms-request-id": self._new_id(),
            "x-ms-correlation-request-id": correlation,
            name: remaining,
            "cache-control": "no-cache",
        }
        try:
            response = self._answer(request)
        except ArmError as error:
            response = Response(
                error.status, {"content-type": "application/json", **error.headers}, error.body()
            )
            if not error.flat:
                headers["x-ms-error-code"] = error.failure.code
        response.headers.update(headers)
        self._arm()
        return response

    def _answer(self, request: Request) -> Response:
        self._authenticate(request.headers)
        if "api-version" not in request.parameters():
            raise refuse(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            )
        where = route(request.path, self._account)
        match request.method, where:
            case "GET", PoolList():
                return self._list(request)
            case "GET", OnePool(name, ""):
                return self._show(self._pools.get(name.lower()))
            case "PUT", OnePool(name, ""):
                return self._put(request, name)
            case "DELETE", OnePool(name, ""):
                begun = self._pools.delete(name.lower(), _conditions(request), self._clock.now())
                return self._accepted(request, begun.id)
            case "POST", OnePool(name, action) if action.lower() == "abort":
                begun = self._pools.abort(name.lower(), self._clock.now())
                return self._accepted(request, begun.id)
            case "GET", OneOperation(operation, results):
                return self._poll(request, operation, results)
            case _:
                raise refuse(
                    405,
                    "HttpMethodNotAllowed",
                    f"The method {request.method} is not supported for {request.path}.",
                )

    def _authenticate(self, headers: Mapping[str, str]) -> None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise refuse(
                401,
                "AuthenticationFailed",
                "Authentication failed. The 'Authorization' header is missing.",
            )
        if token.strip() not in self._tokens:
            raise refuse(401, "InvalidAuthenticationToken", "The access token is invalid.")

    def _list(self, request: Request) -> Response:
        pools = list(self._pools)
        skip = request.parameters().get("$skiptoken")
        rest = [pool for pool in pools if pool.name > skip]
        page, more = rest[:PAGE_SIZE], rest[PAGE_SIZE:]
        body: dict[str, Any] = {"value": [pool_wire(pool, self._account) for pool in page]}
        if more:
            version = quote(request.parameters().get("api-version"))
            body["nextLink"] = (
                f"{_base(request)}{self._account.pools_path}"
                f"?api-version={version}&%24skiptoken={page[-1].name}"
            )
        return Response.json(body)

    def _show(self, pool: Pool, status: int = 200) -> Response:
        response = Response.json(pool_wire(pool, self._account), status)
        response.headers["etag"] = f'"{pool.etag}"'
        return response

    def _put(self, request: Request, name: str) -> Response:
        try:
            body = json.loads(request.body)
        except ValueError:
            raise refuse(
                400, "InvalidRequestContent", "The request content is not valid JSON."
            ) from None
        pool = self._pools.put(name, body, _conditions(request), self._clock.now())
        creating = self._pools.operation(pool.operation).verb is Verb.CREATE
        response = self._show(pool, 201 if creating else 200)
        response.headers["azure-asyncoperation"] = self._operation_url(request, pool.operation)
        if not creating:
            # Labels and taints of an update reach the Nodes at once.
            self._on_change(pool.name)
        return response

    def _accepted(self, request: Request, operation: str) -> Response:
        return Response(
            202,
            {
                "azure-asyncoperation": self._operation_url(request, operation),
                "location": self._operation_url(request, operation, results=True),
            },
        )

    def _poll(self, request: Request, operation_id: str, results: bool) -> Response:
        operation = self._pools.operation(operation_id)
        if not results:
            return Response.json(operation_wire(operation))
        if operation.outcome is Outcome.RUNNING:
            location = self._operation_url(request, operation_id, results=True)
            return Response(202, {"location": location})
        if operation.failure is not None:
            raise ArmError(409, operation.failure)
        pool = self._pools.find(operation.pool)
        return Response(204) if pool is None else self._show(pool)

    def _operation_url(self, request: Request, operation: str, *, results: bool = False) -> str:
        path = self._account.operation_path(operation, results=results)
        return f"{_base(request)}{path}?api-version={OPERATIONS_API_VERSION}"

    def _settle(self) -> None:
        for name in self._pools.settle(self._clock.now()):
            self._on_change(name)
        self._arm()

    def _arm(self) -> None:
        self.stop()
        due = self._pools.next_due()
        if due is not None:
            self._timer = self._clock.call_later(max(0.0, due - self._clock.now()), self._settle)


def _conditions(request: Request) -> Preconditions:
    return Preconditions(
        if_match=request.headers.get("if-match", ""),
        if_none_match=request.headers.get("if-none-match", ""),
    )


def _base(request: Request) -> str:
    """The address the client used, as long operations carry whole URLs; "" when it gave none."""
    host = request.headers.get("host", "")
    return f"https://{host}" if host else ""
