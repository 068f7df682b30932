"""Who we are to Azure: one credential for each kind of the settings.

Whatever goes wrong while a token is being had says so in its own words, and no secret is in them.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import shorten
from typing import Any

import aiohttp
from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.core.pipeline.transport import AioHttpTransport

from kaito.provisioner.settings import CloudSettings, CredentialKind
from kaito.runtime.clock import Clock

ATTEMPT_LENGTH = 90  # characters for each credential of a chain


class NoToken(ClientAuthenticationError):
    """No token could be had; the message says why."""


def new_credential(
    settings: CloudSettings, session: aiohttp.ClientSession, clock: Clock
) -> AsyncTokenCredential:
    """The credential of the settings. It sends nothing yet; `session` reaches the authority."""
    match settings.credential:
        case CredentialKind.WORKLOAD_IDENTITY:
            from azure.identity.aio import ClientAssertionCredential  # a tenth of a second

            # The kubelet renews the file: it is read for each exchange, and never kept.
            file = Path(settings.federated_token_file)
            return Told(
                ClientAssertionCredential(
                    settings.tenant,
                    settings.client,
                    lambda: file.read_text().strip(),
                    authority=settings.authority,
                    transport=AioHttpTransport(session=session, session_owner=False),
                    retry_total=0,  # whoever asks for a token asks again
                )
            )
        case CredentialKind.DEFAULT:
            from azure.identity.aio import DefaultAzureCredential

            return Told(
                DefaultAzureCredential(
                    authority=settings.authority,
                    managed_identity_client_id=settings.client or None,
                    workload_identity_tenant_id=settings.tenant or None,
                )
            )
        case CredentialKind.TOKEN_FILE:
            return Told(_TokenFile(Path(settings.token_file), clock))


class Told(AsyncTokenCredential):
    """A credential whose every failure is a NoToken, or a connection that may work later."""

    def __init__(self, credential: AsyncTokenCredential) -> None:
        self._credential = credential

    async def get_token(
        self,
        *scopes: str,
        claims: str | None = None,
        tenant_id: str | None = None,
        enable_cae: bool = False,
        **kwargs: Any,
    ) -> AccessToken:
        options: dict[str, Any] = {"claims": claims} if claims else {}
        try:
            return await self._credential.get_token(*scopes, **options, **kwargs)
        except ClientAuthenticationError as error:
            raise NoToken(_in_short(str(error))) from error
        except AzureError:
            raise
        except Exception as error:
            raise NoToken(f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        await self._credential.close()

    async def __aexit__(self, *exit_: object) -> None:
        await self.close()


def _in_short(text: str) -> str:
    """What a chain of credentials says, of each the beginning: it is the same advice that follows
    every time, and the last one's words count as much as the first one's."""
    attempts = [line.strip() for line in text.splitlines() if line.startswith("\t")]
    brief = [shorten(attempt, ATTEMPT_LENGTH, placeholder="...") for attempt in attempts]
    return " ".join(brief) or " ".join(text.split())


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
