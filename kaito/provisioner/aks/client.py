"""The one module that imports the Azure SDK: agent pools over Azure Resource Manager.

It speaks JSON as dicts and raises CloudError; no SDK type leaves it. Every call is one exchange,
repeated briefly at the edge when the connection or the server failed. The SDK's own retries, which
sleep through any Retry-After however long, are off, and so is its polling: what Azure started,
the caller looks at when it likes.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import aiohttp
from azure.core import MatchConditions
from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ODataV4Format,
)
from azure.core.pipeline.transport import AioHttpTransport
from azure.mgmt.containerservice.aio import ContainerServiceClient
from azure.mgmt.containerservice.models import AgentPool, AgentPoolDeleteMachinesParameter
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from kaito.provisioner.aks import errors
from kaito.provisioner.aks.errors import Answer, Detail
from kaito.provisioner.aks.pool import Wire
from kaito.provisioner.aks.remedies import advised
from kaito.provisioner.failure import Cause, CloudError
from kaito.provisioner.settings import CloudSettings, CredentialKind
from kaito.runtime.clock import Clock

if TYPE_CHECKING:
    from azure.core.rest import AsyncHttpResponse

T = TypeVar("T")

ATTEMPTS = 3
"""Exchanges for one call at most. All calls are safe to repeat: reads, a PUT that refuses to
overwrite, another one that says the whole of what is to be, and deletes."""
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 15.0  # Resource Manager accepts an operation within a few seconds, or not at all
PAUSE_SECONDS = 4.0  # longest pause between attempts; with the above, a call ends within a minute


@asynccontextmanager
async def connect(settings: CloudSettings, clock: Clock) -> AsyncIterator[AgentPools]:
    """The agent pools of one cluster. Sends nothing yet; connections close with the context."""
    async with AsyncExitStack() as stack:
        credential = await stack.enter_async_context(_credential(settings, clock))
        tls = ssl.create_default_context(cadata=settings.ca_data or None)
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=tls),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=True,
            )
        )
        client = await stack.enter_async_context(
            ContainerServiceClient(
                credential,
                settings.subscription,
                settings.base_url,
                transport=AioHttpTransport(
                    session=session,
                    session_owner=False,
                    connection_timeout=CONNECT_SECONDS,
                    read_timeout=ANSWER_SECONDS,
                ),
                retry_total=0,
                user_agent="kaito",
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
            return (await poller.result()).as_dict()

        return await self._unless(start, lambda answer: answer.status == 412)

    async def get(self, name: str) -> Wire | None:
        """One pool, None when Azure denies that very pool."""

        async def ask() -> Wire:
            return (await self._pools.get(*self._where, name)).as_dict()

        return await self._unless(ask, lambda answer: errors.pool_is_missing(answer, name))

    async def list(self) -> list[Wire]:
        """All pools of the cluster."""

        async def ask() -> list[Wire]:
            return [pool.as_dict() async for pool in self._pools.list(*self._where)]

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
            return (await poller.result()).as_dict()

        return await self._call(start)

    async def machines(self, name: str) -> Sequence[Wire]:
        """The machines of a pool, none when Azure denies that very pool."""

        async def ask() -> Sequence[Wire]:
            return [each.as_dict() async for each in self._machines.list(*self._where, name)]

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
                answer = _answer(error)
                if answer is not None and expected(answer):
                    return None
                raise

        return await self._call(asked)

    async def _call(self, call: Callable[[], Awaitable[T]]) -> T:
        attempts = AsyncRetrying(
            retry=retry_if_exception(_worth_repeating),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.5, max=PAUSE_SECONDS),
            sleep=self._clock.sleep,
            reraise=True,
        )
        try:
            async for attempt in attempts:
                with attempt, _classified():
                    return await call()
        except CloudError as error:
            raise CloudError(advised(error.failure, self._settings)) from error
        raise AssertionError("tenacity ends with a result or an error")


def _worth_repeating(error: BaseException) -> bool:
    """Whether the next second may help. Where Azure says how long to wait, the caller waits."""
    return (
        isinstance(error, CloudError)
        and error.failure.cause in {Cause.NETWORK, Cause.SERVER}
        and error.failure.retry_after is None
    )


@contextmanager
def _classified() -> Iterator[None]:
    """The SDK's errors as CloudError."""
    try:
        yield
    except HttpResponseError as error:
        answer = _answer(error)
        if answer is not None:
            raise CloudError(errors.classify(answer)) from error
        if isinstance(error, ClientAuthenticationError):
            raise CloudError(errors.unauthenticated(_first_line(error))) from error
        raise CloudError(errors.unreachable(_first_line(error))) from error
    except (AzureError, TimeoutError, OSError) as error:
        raise CloudError(errors.unreachable(_first_line(error))) from error


def _answer(error: HttpResponseError) -> Answer | None:
    if error.response is None or error.status_code is None:
        return None
    detail = _detail(error.error) if error.error else Detail(message=error.reason or "")
    # The SDK types the response of an error as less than it is.
    headers = cast("AsyncHttpResponse", error.response).headers
    retry_after = headers.get("Retry-After", "")
    return Answer(error.status_code, detail, float(retry_after) if retry_after.isdigit() else None)


def _detail(error: ODataV4Format) -> Detail:
    information = getattr(error, "additional_info", ())  # of ARM's form of it
    policy = errors.policy_in(entry.info for entry in information)
    details = tuple(map(_detail, error.details))
    return Detail(error.code or "", error.message or "", details, policy)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _credential(settings: CloudSettings, clock: Clock) -> AsyncTokenCredential:
    match settings.credential:
        case CredentialKind.WORKLOAD_IDENTITY:
            from azure.identity.aio import WorkloadIdentityCredential  # a tenth of a second

            return WorkloadIdentityCredential(
                tenant_id=settings.tenant,
                client_id=settings.client,
                token_file_path=settings.federated_token_file,
            )
        case CredentialKind.DEFAULT:
            from azure.identity.aio import DefaultAzureCredential

            return DefaultAzureCredential()
        case CredentialKind.TOKEN_FILE:
            return _TokenFile(Path(settings.token_file), clock)


class _TokenFile(AsyncTokenCredential):
    """A bearer token in a file that somebody else renews, read for every request."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock

    async def get_token(
        self,
        *scopes: str,
        claims: str | None = None,
        tenant_id: str | None = None,
        enable_cae: bool = False,
        **kwargs: Any,
    ) -> AccessToken:
        # A few hundred bytes on a local disk: cheaper than a thread. It is offered as valid for a
        # minute only, which is inside the SDK's margin for renewal, so that the SDK keeps none.
        try:
            token = self._path.read_text().strip()
        except OSError as error:
            raise ClientAuthenticationError(f"AZURE_TOKEN_FILE: {error}") from error
        return AccessToken(token, int(self._clock.now()) + 60)

    async def close(self) -> None:
        """Nothing is held open."""

    async def __aexit__(self, *exit_: object) -> None:
        """Nothing is held open."""
