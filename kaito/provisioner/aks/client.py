"""Agent pools over Azure Resource Manager, through the Azure SDK.

It speaks JSON as dicts and raises CloudError; no SDK type leaves it. Every call is one exchange,
repeated briefly at the edge when the connection or the server failed, and ends within a minute.
The SDK's own retries, which sleep through any Retry-After however long, are off, and so are its
redirects and its polling: what Azure started, the caller looks at when it likes.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError, ODataV4Format
from azure.core.pipeline.transport import AioHttpTransport
from azure.mgmt.containerservice.aio import ContainerServiceClient
from azure.mgmt.containerservice.models import AgentPool, AgentPoolDeleteMachinesParameter
from prometheus_client import CollectorRegistry
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from kaito.provisioner.aks import errors
from kaito.provisioner.aks.credentials import NoToken, new_credential
from kaito.provisioner.aks.edge import Edge, new_session
from kaito.provisioner.aks.errors import Answer, Detail
from kaito.provisioner.aks.pacing import Pacer, retry_after
from kaito.provisioner.aks.pool import Wire
from kaito.provisioner.aks.remedies import advised
from kaito.provisioner.failure import Cause, CloudError
from kaito.provisioner.settings import CloudSettings
from kaito.runtime.clock import Clock, deadline

if TYPE_CHECKING:
    from azure.core.pipeline import PipelineResponse
    from azure.core.rest import AsyncHttpResponse, HttpRequest

T = TypeVar("T")

ATTEMPTS = 3
"""Exchanges for one call at most. All calls are safe to repeat: reads, a PUT that refuses to
overwrite, and deletes."""
CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 15.0  # Resource Manager accepts an operation within a few seconds, or not at all
ATTEMPT_SECONDS = 20.0  # for a whole answer, its turn and its token included
CALL_SECONDS = 50.0
TOGETHER_SECONDS = 55.0  # for calls that belong together
PAUSE_SECONDS = 4.0  # longest pause between attempts


@asynccontextmanager
async def connect(
    settings: CloudSettings, clock: Clock, registry: CollectorRegistry
) -> AsyncIterator[AgentPools]:
    """The agent pools of one cluster. Sends nothing yet; connections close with the context.

    `registry` gets the metrics of the pacing.
    """
    version: Any = {"api_version": settings.api_version} if settings.api_version else {}
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(new_session(settings.ca_data))
        client = await stack.enter_async_context(
            ContainerServiceClient(
                await stack.enter_async_context(new_credential(settings, session, clock)),
                settings.subscription,
                settings.base_url,
                credential_scopes=[f"{settings.audience}/.default"],
                transport=AioHttpTransport(
                    session=session,
                    session_owner=False,
                    connection_timeout=CONNECT_SECONDS,
                    read_timeout=SILENCE_SECONDS,
                ),
                per_retry_policies=[Edge(settings.base_url, Pacer(clock, registry))],
                retry_total=0,
                permit_redirects=False,
                user_agent="kaito",
                **version,
            )
        )
        yield AgentPools(client, settings, clock)


class AgentPools:
    """Agent pools of one managed cluster, as JSON. Every verb raises CloudError."""

    def __init__(
        self, client: ContainerServiceClient, settings: CloudSettings, clock: Clock
    ) -> None:
        self._pools = client.agent_pools
        self._machines = client.machines
        self._where = (settings.resource_group, settings.cluster)
        self._settings = settings
        self._clock = clock

    @asynccontextmanager
    async def in_time(self) -> AsyncIterator[None]:
        """Around calls that belong together: CloudError when a minute is not enough for them."""
        try:
            async with deadline(self._clock, TOGETHER_SECONDS):
                yield
        except TimeoutError as error:
            said = f"it was not done within {TOGETHER_SECONDS:g} seconds"
            raise CloudError(errors.unreachable(said)) from error

    async def put(self, name: str, body: Wire) -> Wire | None:
        """Start to create a pool; None when there is one of that name, which is left as it is."""

        async def start() -> Wire:
            poller = await self._pools.begin_create_or_update(
                *self._where,
                name,
                AgentPool(body),
                match_condition=MatchConditions.IfMissing,
                polling=False,
            )
            return _pool(await poller.result())

        return await self._unless(start, lambda answer: answer.status == 412)

    async def get(self, name: str) -> Wire | None:
        """One pool, None when Azure denies that very pool."""

        async def ask() -> Wire:
            return _pool(await self._pools.get(*self._where, name))

        return await self._unless(ask, lambda answer: errors.pool_is_missing(answer, name))

    async def list(self) -> list[Wire]:
        """All pools of the cluster."""

        async def ask() -> list[Wire]:
            pages = self._pools.list(*self._where, raw_response_hook=_check_page)
            return [_pool(found) async for found in pages]

        return await self._call(ask)

    async def delete(self, name: str, etag: str) -> None:
        """Start to delete a pool; nothing happens when it is gone already.

        With an `etag`, only that version of it: a failure with cause BUSY otherwise.
        """

        async def start() -> None:
            condition = MatchConditions.IfNotModified if etag else None
            poller = await self._pools.begin_delete(
                *self._where, name, etag=etag or None, match_condition=condition, polling=False
            )
            await poller.result()

        await self._unless(start, lambda answer: errors.pool_is_missing(answer, name))

    async def update(self, name: str, body: Wire, etag: str) -> Wire:
        """Start to change a pool into `body`, of which Azure ignores what it alone sets.

        With an `etag`, only that version of it: a failure with cause BUSY otherwise.
        """

        async def start() -> Wire:
            condition = MatchConditions.IfNotModified if etag else None
            poller = await self._pools.begin_create_or_update(
                *self._where,
                name,
                AgentPool(body),
                etag=etag or None,
                match_condition=condition,
                polling=False,
            )
            return _pool(await poller.result())

        return await self._call(start)

    async def machines(self, name: str) -> Sequence[Wire]:
        """The machines of a pool, none when Azure denies that very pool."""

        async def ask() -> Sequence[Wire]:
            pages = self._machines.list(*self._where, name, raw_response_hook=_check_page)
            return [each.as_dict() async for each in pages]

        return await self._unless(ask, lambda answer: errors.pool_is_missing(answer, name)) or []

    async def delete_machine(self, name: str, machine: str) -> None:
        """Start to delete one machine of a pool."""

        async def start() -> None:
            doomed = AgentPoolDeleteMachinesParameter(machine_names=[machine])
            poller = await self._pools.begin_delete_machines(
                *self._where, name, doomed, polling=False
            )
            await poller.result()

        await self._call(start)

    async def abort(self, name: str) -> None:
        """Start to stop whatever is being done to a pool; nothing happens when nothing is."""

        async def start() -> None:
            poller = await self._pools.begin_abort_latest_operation(
                *self._where, name, polling=False
            )
            await poller.result()

        await self._unless(start, lambda answer: answer.status in {404, 409})

    async def _unless(
        self, call: Callable[[], Awaitable[T]], expected: Callable[[Answer], bool]
    ) -> T | None:
        """The call's result, or None for an error answer that is an answer to the question."""

        async def asked() -> T | None:
            try:
                return await call()
            except HttpResponseError as error:
                answer = _answer(error, self._clock.now())
                if answer is not None and expected(answer):
                    return None
                raise

        return await self._call(asked)

    async def _call(self, call: Callable[[], Awaitable[T]]) -> T:
        attempts = AsyncRetrying(
            retry=_worth_repeating,
            stop=stop_after_attempt(ATTEMPTS) | stop_after_delay(CALL_SECONDS - ATTEMPT_SECONDS),
            wait=wait_random_exponential(multiplier=0.5, max=PAUSE_SECONDS),
            sleep=self._clock.sleep,
            reraise=True,
        )
        try:
            async for attempt in attempts:
                with attempt, _classified(self._clock):
                    async with deadline(self._clock, ATTEMPT_SECONDS):
                        return await call()
        except CloudError as error:
            raise CloudError(advised(error.failure, self._settings)) from error
        raise AssertionError("tenacity ends with a result or an error")


def _pool(found: AgentPool) -> Wire:
    """As JSON. ValueError when it is none, whatever answered 200."""
    wire: Wire = found.as_dict()
    if not isinstance(wire.get("name"), str):
        raise ValueError("not an agent pool")
    return wire


def _check_page(page: PipelineResponse[HttpRequest, AsyncHttpResponse]) -> None:
    """ValueError when a page of a list is none: the SDK would take it for an empty one, and
    everything that it should have named for gone."""
    answer = page.http_response
    if answer.status_code == 200 and not isinstance(answer.json().get("value"), list):
        raise ValueError("not a list")


def _worth_repeating(state: RetryCallState) -> bool:
    """Whether the next second may help. Where Azure says how long to wait, the caller waits."""
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, CloudError):
        return False
    if state.attempt_number == 1 and _was_refused_its_token(error):
        return True
    passing = error.failure.cause in {Cause.NETWORK, Cause.SERVER}
    return passing and error.failure.retry_after is None


def _was_refused_its_token(error: CloudError) -> bool:
    """Whether the token may have ended on its way; the SDK forgets it and gets another one."""
    refusal = error.__cause__
    return isinstance(refusal, HttpResponseError) and refusal.status_code == 401


# What the SDK raises over an answer of another shape than it expects.
_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError, zlib.error)


@contextmanager
def _classified(clock: Clock) -> Iterator[None]:
    """The SDK's errors as CloudError."""
    try:
        yield
    except NoToken as error:
        raise CloudError(errors.unauthenticated(str(error))) from error
    except HttpResponseError as error:
        answer = _answer(error, clock.now())
        if answer is None:
            raise CloudError(errors.unreachable(_first_line(error))) from error
        if answer.status < 400:
            said = f"what answered {answer.status} is not Resource Manager, or it is elsewhere"
            raise CloudError(errors.unreachable(said)) from error
        raise CloudError(errors.classify(answer)) from error
    except TimeoutError as error:
        said = f"no whole answer came within {ATTEMPT_SECONDS:g} seconds"
        raise CloudError(errors.unreachable(said)) from error
    except (AzureError, OSError) as error:
        raise CloudError(errors.unreachable(_first_line(error))) from error
    except _UNREADABLE as error:
        # The SDK reads what it is sent, whatever that is.
        said = f"its answer could not be read ({type(error).__name__}: {_first_line(error)})"
        raise CloudError(errors.unreachable(said)) from error


def _answer(error: HttpResponseError, now: float) -> Answer | None:
    if error.response is None or error.status_code is None:
        return None
    detail = _detail(error.error) if error.error else Detail(message=error.reason or "")
    # The SDK types the response of an error as less than it is.
    headers = cast("AsyncHttpResponse", error.response).headers
    lower = {name.lower(): value for name, value in headers.items()}
    return Answer(error.status_code, detail, retry_after(lower, now))


def _detail(error: ODataV4Format) -> Detail:
    information = getattr(error, "additional_info", ())  # of ARM's form of it
    policy = errors.policy_in(entry.info for entry in information)
    details = tuple(map(_detail, error.details))
    return Detail(error.code or "", error.message or "", details, policy)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
