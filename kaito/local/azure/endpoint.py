"""The HTTP side of the cloud: authenticates, finds out what is asked, answers at once.

Long operations end by a timer of the clock, never inside a request.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kaito.local.apiserver.http import Request, Response
from kaito.local.apiserver.watches import Cut
from kaito.local.azure.account import Account
from kaito.local.azure.errors import ArmError, Broken, refuse
from kaito.local.azure.faults import Ask, Faults
from kaito.local.azure.ledger import Ledger
from kaito.local.azure.operation import Operation, Outcome, Verb
from kaito.local.azure.pool import Pool, Preconditions
from kaito.local.azure.pools import AgentPools, Durations
from kaito.local.azure.routes import (
    ClusterList,
    Machines,
    OneCluster,
    OneOperation,
    OnePool,
    PoolList,
    Route,
    SkuList,
    route,
)
from kaito.local.azure.schema import agent_pool, machine_names
from kaito.local.azure.sizes import VmSizes
from kaito.local.azure.throttle import Throttle
from kaito.local.azure.wire import (
    cluster_wire,
    machine_wire,
    operation_wire,
    pool_wire,
    skus_wire,
)
from kaito.local.profile import Profile
from kaito.runtime import Clock
from kaito.runtime.clock import Timer

MOUNT = "/subscriptions/"
PAGE_SIZE = 50  # fewer than a cluster has pools, so that clients meet pages
OPERATIONS_API_VERSION = "2017-08-31"
BODY_LIMIT = 4 * 1024 * 1024  # bytes; Resource Manager's own
RETRY_AFTER_SECONDS = 1  # what long operations suggest, the least that a header can say
_LOCATION = re.compile(r"\s*location\s+eq\s+'([^']*)'\s*")
_CORRELATION = re.compile(r"[\w.:-]{1,128}", re.ASCII)
_API_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-(preview|alpha|beta|rc|privatepreview))?")


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
        self._sizes = sizes
        self._tokens = frozenset(tokens)
        self._clock = clock
        self._on_change = on_change
        self._new_id = new_id
        self._timer: Timer | None = None
        self._throttle = Throttle(account.subscription, account.client, profile.limits)
        self.faults = Faults(given=profile.faults)
        """Which requests fail; may be changed at any time."""
        self._pools = AgentPools(
            account=account,
            sizes=sizes,
            durations=Durations(create=profile.pool_create, delete=profile.pool_delete),
            new_id=new_id,
            limits=profile.limits,
            faults=self.faults,
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
        """Answer one request. Raises Cut where a fault breaks the connection."""
        self._settle()
        correlation = request.headers.get("x-ms-correlation-request-id", "")
        headers = {
            "x-ms-request-id": self._new_id(),
            "x-ms-correlation-request-id": correlation
            if _CORRELATION.fullmatch(correlation)
            else self._new_id(),
            "cache-control": "no-cache",
        }
        try:
            self._authenticate(request.headers)
            headers |= self._throttle.arm(request.method, self._clock.now())
            response = self._answer(request)
        except ArmError as error:
            response = Response(
                error.status, {"content-type": "application/json", **error.headers}, error.body()
            )
            if not error.flat:
                headers["x-ms-error-code"] = error.failure.code
        except Broken as broken:
            raise Cut(str(broken)) from None
        finally:
            self._arm()
        response.headers.update(headers)
        return response

    def _answer(self, request: Request) -> Response:
        _check_version(request)
        where = route(request.path, self._account)
        self._throttle.provider(request.method, where, self._clock.now())
        match request.method:
            case "GET":
                return self._read(request, where)
            case "PUT" | "POST" | "DELETE":
                return self._change(request, where)
            case _:
                raise _not_supported(request)

    def _read(self, request: Request, where: Route) -> Response:
        match where:
            case PoolList():
                self._pools.reading(Ask.LIST)
                return self._pages(request, self._account.pools_path, self._pool_pairs(request))
            case OnePool(name, ""):
                self._pools.reading(Ask.GET, name.lower())
                return self._show(request, self._pools.get(name.lower()))
            case Machines(pool, ""):
                path = self._account.machines_path(pool.lower())
                return self._pages(request, path, self._machine_pairs(pool))
            case Machines(pool, machine):
                return Response.json(self._machine(pool, machine))
            case OneOperation(operation, results):
                found = self._pools.operation(operation)
                self._pools.reading(Ask.POLL, found.pool)
                return self._poll(request, found, results)
            case OneCluster(""):
                return Response.json(self._cluster())
            case ClusterList():
                return Response.json({"value": [self._cluster()]})
            case SkuList():
                asked = _LOCATION.fullmatch(request.parameters().get("$filter"))
                here = asked is None or asked[1].lower() == self._account.location
                skus = skus_wire(self._sizes, self.faults, self._account) if here else ()
                return Response.json({"value": list(skus)})
            case _:
                raise _not_supported(request)

    def _change(self, request: Request, where: Route) -> Response:
        now = self._clock.now()
        match request.method, where:
            case "PUT", OnePool(name, ""):
                return self._put(request, name)
            case "DELETE", OnePool(name, ""):
                if self._pools.find(name.lower()) is None:
                    return Response(204)
                return self._accepted(
                    request, self._pools.delete(name.lower(), _conditions(request), now)
                )
            case "POST", OnePool(name, action) if action.lower() == "abort":
                return self._accepted(request, self._pools.abort(name.lower(), now))
            case "POST", OnePool(name, action) if action.lower() == "deletemachines":
                machines = machine_names(_body(request))
                return self._accepted(
                    request, self._pools.delete_machines(name.lower(), machines, now)
                )
            case _:
                raise _not_supported(request)

    def _authenticate(self, headers: Mapping[str, str]) -> None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        challenge = {"www-authenticate": f'Bearer realm="{self._account.tenant}"'}
        if scheme.lower() != "bearer":
            error = refuse(
                401,
                "AuthenticationFailed",
                "Authentication failed. The 'Authorization' header is missing.",
            )
        elif token.strip() not in self._tokens:
            error = refuse(401, "InvalidAuthenticationToken", "The access token is invalid.")
        else:
            return
        error.headers.update(challenge)
        raise error

    def _pool_pairs(self, request: Request) -> list[tuple[str, dict[str, Any]]]:
        preview = _is_preview(request)
        return [
            (pool.name, pool_wire(pool, self._account, preview=preview)) for pool in self._pools
        ]

    def _machine_pairs(self, name: str) -> list[tuple[str, dict[str, Any]]]:
        pool = self._pools.get(name.lower())
        wires = [machine_wire(pool, number, self._account) for number in pool.machines]
        return sorted((wire["name"], wire) for wire in wires)

    def _machine(self, pool: str, machine: str) -> dict[str, Any]:
        for name, wire in self._machine_pairs(pool):
            if name == machine.lower():
                return wire
        raise refuse(404, "NotFound", f"Machine {machine} not found in agent pool {pool}")

    def _cluster(self) -> dict[str, Any]:
        return cluster_wire(self._pools, self._account, self._pools.limits)

    def _pages(
        self, request: Request, path: str, pairs: Sequence[tuple[str, dict[str, Any]]]
    ) -> Response:
        """One page of what is named by the first of each pair, with a link to the next."""
        skip = request.parameters().get("$skiptoken")
        rest = [pair for pair in pairs if pair[0] > skip]
        page, more = rest[:PAGE_SIZE], rest[PAGE_SIZE:]
        body: dict[str, Any] = {"value": [wire for _, wire in page]}
        if more:
            version = quote(request.parameters().get("api-version"))
            token = quote(page[-1][0])
            body["nextLink"] = f"{_base(request)}{path}?api-version={version}&%24skiptoken={token}"
        return Response.json(body)

    def _show(self, request: Request, pool: Pool, status: int = 200) -> Response:
        wire = pool_wire(pool, self._account, preview=_is_preview(request))
        response = Response.json(wire, status)
        response.headers["etag"] = f'"{pool.etag}"'
        return response

    def _put(self, request: Request, name: str) -> Response:
        sent = agent_pool(_body(request), preview=_is_preview(request))
        pool = self._pools.put(name, sent, _conditions(request), self._clock.now())
        operation = self._pools.operation(pool.operation)
        creating = operation.verb is Verb.CREATE
        response = self._show(request, pool, 201 if creating else 200)
        response.headers |= {
            "azure-asyncoperation": self._operation_url(request, operation),
            "retry-after": str(RETRY_AFTER_SECONDS),
        }
        if not creating:
            # Labels and taints of an update reach the Nodes at once.
            self._on_change(pool.name)
        return response

    def _accepted(self, request: Request, operation: Operation) -> Response:
        return Response(
            202,
            {
                "azure-asyncoperation": self._operation_url(request, operation),
                "location": self._operation_url(request, operation, results=True),
                "retry-after": str(RETRY_AFTER_SECONDS),
            },
        )

    def _poll(self, request: Request, operation: Operation, results: bool) -> Response:
        if not results:
            return Response.json(operation_wire(operation))
        if operation.running:
            return Response(
                202, {"location": self._operation_url(request, operation, results=True)}
            )
        if operation.outcome is Outcome.FAILED and operation.failure is not None:
            raise ArmError(409, operation.failure)
        pool = self._pools.find(operation.pool)
        return Response(204) if pool is None else self._show(request, pool)

    def _operation_url(
        self, request: Request, operation: Operation, *, results: bool = False
    ) -> str:
        path = self._account.operation_path(operation.id, results=results)
        return f"{_base(request)}{path}?api-version={OPERATIONS_API_VERSION}"

    def _settle(self) -> None:
        self._tell(self._pools.settle(self._clock.now()))
        self._arm()

    def _tell(self, names: Iterable[str]) -> None:
        for name in names:
            self._on_change(name)

    def _arm(self) -> None:
        self.stop()
        due = self._pools.next_due()
        if due is not None:
            self._timer = self._clock.call_later(max(0.0, due - self._clock.now()), self._settle)


def _check_version(request: Request) -> None:
    version = request.parameters().get("api-version")
    if not version:
        raise refuse(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )
    if not _API_VERSION.fullmatch(version):
        raise refuse(
            400,
            "InvalidApiVersionParameter",
            f"The api-version '{version}' is invalid: it must be a date such as '2024-01-01', "
            "with '-preview' after it or not.",
        )


def _is_preview(request: Request) -> bool:
    return request.parameters().get("api-version").endswith("-preview")


def _body(request: Request) -> bytes:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise refuse(
            415,
            "UnsupportedMediaType",
            f"The content media type '{media}' is not supported. Only 'application/json' is "
            "supported.",
        )
    if len(request.body) > BODY_LIMIT:
        raise refuse(
            413,
            "RequestEntityTooLarge",
            f"The request content size exceeds the maximum size of {BODY_LIMIT} bytes.",
        )
    return request.body


def _not_supported(request: Request) -> ArmError:
    return refuse(
        405,
        "HttpMethodNotAllowed",
        f"The method {request.method} is not supported for {request.path}.",
    )


def _conditions(request: Request) -> Preconditions:
    return Preconditions(
        if_match=request.headers.get("if-match", ""),
        if_none_match=request.headers.get("if-none-match", ""),
    )


def _base(request: Request) -> str:
    """The address the client used, as long operations carry whole URLs; "" when it gave none."""
    host = request.headers.get("host", "")
    return f"https://{host}" if host else ""
