"""Asks servers for files, over connections that lead to where public data can be and nowhere else.

The address of each connection is judged, not the name that led to it, at every redirect anew.
aiohttp takes both a resolver and a maker of sockets, so that what was judged is what is connected
to. No proxy is asked, no cookie is kept, and a password goes to the server it was given for.
"""

from __future__ import annotations

import base64
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from kaito.engine.endings import Ended, Ending
from kaito.engine.moving.naming import shown
from kaito.engine.moving.patience import Passing, asked_pause
from kaito.engine.moving.promises import of_headers
from kaito.engine.moving.reach import Reach

MOST_REDIRECTS = 10
SILENCE = 60.0  # seconds in which a server says nothing at all
MOVED = frozenset({301, 302, 303, 307, 308})
LATER = frozenset({408, 425, 429})  # and what is 500 or more
SCHEMES = ("http", "https")


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's answer, whose body has not been read."""

    response: aiohttp.ClientResponse
    promised: Mapping[str, str] = field(default_factory=dict)
    """Digests of the whole file, as it and what redirected to it name them."""


class Judged(AbstractResolver):
    """Another resolver's answers, without the addresses that may not be connected to."""

    def __init__(self, inner: AbstractResolver, reach: Reach) -> None:
        self._inner = inner
        self._reach = reach

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Ended ADDRESS_FORBIDDEN when none is left."""
        found = await self._inner.resolve(host, port, family)
        kept = [each for each in found if self._reach.permits(each["host"])]
        if found and not kept:
            raise _forbidden(host, found[0]["host"])
        return kept

    async def close(self) -> None:
        await self._inner.close()


class Sources:
    """Where files are fetched from."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    @asynccontextmanager
    async def ask(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[Answer]:
        """The answer to a GET, after redirects; its status is 200, 206 or 416.

        Ended when the server says no or leads where nobody may go, Passing when it may say
        something else later.
        """
        here = _parsed(url)
        first, login = here.origin(), _login(here)
        promised: dict[str, str] = {}
        for _ in range(MOST_REDIRECTS + 1):
            own = {"Authorization": login} if login and here.origin() == first else {}
            response = await self._get(here, {**headers, **own})
            try:
                promised |= of_headers(response.headers)
                if response.status in MOVED:
                    here = _next(here, response)
                    continue
                _check(response, here)
                yield Answer(response, promised)
                return
            finally:
                response.close()
        raise Ended(
            Ending.DATA_UNAVAILABLE,
            f"{shown(url)} redirects more than {MOST_REDIRECTS} times: name the URL it leads to.",
        )

    async def _get(self, url: URL, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        where = shown(str(url))
        try:
            return await self._session.get(
                url.with_user(None), headers=headers, allow_redirects=False
            )
        # Names that no name server can be asked for are found out by Python's codec for them.
        except (aiohttp.InvalidURL, UnicodeError) as error:
            raise _no_url(where) from error
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
            raise Ended(
                Ending.DATA_UNAVAILABLE,
                f"{where} cannot be trusted, as its certificate is not valid here "
                f"({type(error).__name__}): use a server with a certificate of a known authority.",
            ) from error
        except aiohttp.ClientConnectorDNSError as error:
            raise passing(where, "its name cannot be resolved") from error
        except TimeoutError as error:
            raise passing(where, "it does not answer") from error
        except aiohttp.ClientError as error:
            raise passing(where, "it cannot be reached") from error


@asynccontextmanager
async def sources(
    reach: Reach, tls: ssl.SSLContext, resolver: AbstractResolver | None = None
) -> AsyncIterator[Sources]:
    """Servers that may be asked, closed at the end. A resolver is the system's unless given."""

    def make_socket(info: aiohttp.AddrInfoType) -> socket.socket:
        # What is an address in a URL is in no resolver's hands.
        family, kind, protocol, _, place = info
        if not reach.permits(str(place[0])):
            raise _forbidden(str(place[0]), str(place[0]))
        return socket.socket(family, kind, protocol)

    connector = aiohttp.TCPConnector(
        ssl=tls,
        resolver=Judged(resolver or aiohttp.ThreadedResolver(), reach),
        socket_factory=make_socket,
        use_dns_cache=False,
        force_close=True,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        # What is stored is what the server has: its length and its digest are of that.
        headers={"Accept-Encoding": "identity", "User-Agent": "kaito"},
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=30.0, sock_read=SILENCE),
    ) as session:
        yield Sources(session)


def passing(where: str, why: str, after: float = 0.0) -> Passing:
    """A server is not as it should be, which may pass."""
    return Passing(
        Ending.SOURCE_UNAVAILABLE,
        f"{where} could not be fetched, as {why}: it was tried several times; try again later.",
        after=after,
    )


def _parsed(url: str) -> URL:
    try:
        # What is spelled as in requests stays as it is: a signature may cover it.
        plain = url.isascii() and url.isprintable() and " " not in url
        found = URL(url, encoded=plain)
        known = found.scheme in SCHEMES and bool(found.host) and found.port != 0
    except ValueError as error:
        raise _no_url(shown(url)) from error
    if not known:
        raise _no_url(shown(url))
    return found


def _next(here: URL, response: aiohttp.ClientResponse) -> URL:
    """Where a redirect leads. No password comes with it, and nothing that was encrypted goes on in
    the clear."""
    where = shown(str(here))
    location = response.headers.get("Location", "")
    try:
        there = here.join(URL(location, encoded=True)).with_fragment(None)
        known = there.scheme in SCHEMES and bool(there.host) and there.port != 0
    except ValueError:
        known = False
    if not location or not known:
        raise Ended(
            Ending.ADDRESS_FORBIDDEN,
            f"{where} redirects to what is no http or https URL: name the URL of the file itself.",
        )
    if (here.scheme, there.scheme) == ("https", "http"):
        raise Ended(
            Ending.ADDRESS_FORBIDDEN,
            f"{where} redirects from https to http ({shown(str(there))}), where anybody could "
            "change the data: name a URL that stays with https.",
        )
    return there.with_user(None)


def _check(response: aiohttp.ClientResponse, here: URL) -> None:
    where, status = shown(str(here)), response.status
    if status in LATER or status >= 500:
        after = asked_pause(response.headers.get("Retry-After"))
        raise passing(where, f"its server answers {status}", after)
    if status not in (200, 206, 416):
        raise Ended(
            Ending.DATA_UNAVAILABLE,
            f"{where} answers {status} ({_meaning(status)}): make sure that the URL is right, has "
            "not expired, and needs no login.",
        )
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if encoding != "identity":
        raise Ended(
            Ending.DATA_UNAVAILABLE,
            f"{where} sends its data compressed as {encoding[:20]!r} though nobody asked for it: "
            "store the file as it is to be read.",
        )


def _meaning(status: int) -> str:
    known = {401: "a login is needed", 403: "forbidden", 404: "not found", 410: "gone"}
    return known.get(status, "no file")


def _login(url: URL) -> str:
    if url.raw_user is None:
        return ""
    # The parts are spelled as in URLs.
    pair = f"{unquote(url.raw_user)}:{unquote(url.raw_password or '')}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _no_url(where: str) -> Ended:
    return Ended(
        Ending.ADDRESS_FORBIDDEN,
        f"{where} is not the http or https URL of a file: write it as https://HOST/PATH.",
    )


def _forbidden(host: str, address: str) -> Ended:
    found = host if host == address else f"{host}, which is {address},"
    return Ended(
        Ending.ADDRESS_FORBIDDEN,
        f"{found} is not public, and data is fetched from public addresses alone: use another "
        "source, or have the administrator allow the network with --data-network.",
    )
