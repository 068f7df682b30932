"""Talks with a registry: tokens by the oras package, transport by requests, on which it stands.

Of oras it takes what is the same for every registry and easily got wrong, the exchange of a
challenge for a token. Its own downloads and uploads are not used: they check no digest, hold a blob
in memory, wait for ever, and try a wrong password again for two minutes.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from io import BytesIO
from typing import Any, BinaryIO

import requests
import urllib3
from oras.auth import get_auth_backend
from oras.auth.utils import get_basic_auth, parse_auth_header
from requests.adapters import HTTPAdapter

from kaito.engine.endings import Ending
from kaito.engine.moving.accounts import Account
from kaito.engine.moving.patience import SLOWEST, Pace, Passing, asked_pause
from kaito.engine.moving.reference import Reference

CONNECT, SILENCE = 30.0, 120.0  # seconds; a registry hashes what it was sent before it answers
MOST_REDIRECTS = 10
LATER = frozenset({408, 425, 429})  # and what is 500 or more
CHUNK = 1024 * 1024  # bytes read at once
LARGEST_TOKEN = 64 * 1024  # bytes of an answer that has one


class Refusal(Exception):
    """A registry says no. `why` ends a sentence; `status` is 0 where it was not even asked;
    `codes` are its own words, from the distribution specification."""

    def __init__(self, status: int, why: str, codes: tuple[str, ...] = ()) -> None:
        super().__init__(why)
        self.status = status
        self.why = why
        self.codes = codes


class Registry:
    """A repository in a registry, as it is seen by one account, or by nobody in particular."""

    def __init__(
        self,
        reference: Reference,
        account: Account | None,
        tls: ssl.SSLContext,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reference = reference
        self._account = account
        self._clock = clock
        self._session = _session(tls, reference)
        self._auth: Any = get_auth_backend("token", self._session)
        if account is not None:
            self._auth.set_basic_auth(account.user, account.password)
        self._authorization = ""

    def close(self) -> None:
        self._session.close()

    @property
    def host(self) -> str:
        """As people call it."""
        return self._reference.host

    @contextmanager
    def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: bytes | BinaryIO | None = None,
        expected: tuple[int, ...] = (200,),
    ) -> Iterator[requests.Response]:
        """The answer to a request, unread. Refusal when it is not one of those that are expected,
        Passing when it may be later."""
        response = self._send(method, url, headers or {}, data)
        # Whoever it led to has no account here, and is not to learn of this one.
        if _challenges(response) and self._is_own(response.url):
            response.close()
            self._log_in(response)
            if data is not None and not isinstance(data, bytes):
                data.seek(0)
            response = self._send(method, url, headers or {}, data)
        try:
            if response.status_code not in expected:
                raise _refusal(response)
            yield response
        finally:
            response.close()

    def pour(self, response: requests.Response) -> Iterator[bytes]:
        """The body of an answer in pieces, as it was sent. Passing when it breaks off."""
        pace = Pace(self._clock())
        pieces = response.raw.stream(CHUNK, decode_content=False)
        while True:
            try:
                piece = next(pieces, None)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise self._passing("it broke off") from error
            if piece is None:
                return
            if pace.too_slow(self._clock(), len(piece)):
                raise self._passing(f"it sends less than {SLOWEST} bytes a second")
            yield piece

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], data: bytes | BinaryIO | None
    ) -> requests.Response:
        own = {"Accept-Encoding": "identity", **headers}
        # An upload may be taken by another host, which the account is none of.
        if self._authorization and self._is_own(url):
            own["Authorization"] = self._authorization
        with self._spoken():
            return self._session.request(method, url, headers=own, data=data, stream=True)

    def _is_own(self, url: str) -> bool:
        return url.startswith(f"{self._reference.base.partition('/v2/')[0]}/")

    def _log_in(self, response: requests.Response) -> None:
        """Answer a challenge. An old token is no answer, as it may have expired or be for less."""
        challenge = response.headers.get("Www-Authenticate", "")
        if challenge.lower().startswith("basic"):
            if self._account is None or self._authorization:
                raise _refusal(response)
            pair = get_basic_auth(self._account.user, self._account.password)
            self._authorization = f"Basic {pair}"
            return
        realm = parse_auth_header(challenge).realm or ""
        if not realm.startswith("https://"):
            raise Refusal(401, "it names no place for tokens that is reached by https")
        with self._spoken():
            headers, changed = self._auth.authenticate_request(response, {}, refresh=True)
        if not changed:
            raise _refusal(response)
        self._authorization = headers["Authorization"]

    @contextmanager
    def _spoken(self) -> Iterator[None]:
        try:
            yield
        except requests.exceptions.SSLError as error:
            why = (
                "its certificate is not trusted here: put the certificate of its authority beside "
                "the account in the Secret, as ca.crt"
            )
            raise Refusal(0, why) from error
        except (requests.exceptions.InvalidSchema, requests.exceptions.TooManyRedirects) as error:
            raise Refusal(0, "it redirects without end, or to what is no https") from error
        # oras takes any JSON for an object, and any text for a token.
        except (requests.exceptions.JSONDecodeError, AttributeError, UnicodeError) as error:
            raise self._passing("its service for tokens answers with no token") from error
        except requests.exceptions.Timeout as error:
            raise self._passing("it does not answer") from error
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            raise self._passing("it cannot be reached") from error

    def _passing(self, why: str, after: float = 0.0) -> Passing:
        return unavailable(self._reference, why, after)


def unavailable(reference: Reference, why: str, after: float = 0.0) -> Passing:
    """A registry is not as it should be, which may pass."""
    return Passing(
        Ending.REGISTRY_UNAVAILABLE,
        f"The registry {reference.host} is not available for {reference.text}, as {why}: it was "
        "tried several times; try again later.",
        after=after,
    )


class _Adapter(HTTPAdapter):
    """Trusts what it is told to, and waits for nothing longer than it should."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self._tls)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]  # passed on as they are
        kwargs["timeout"] = kwargs.get("timeout") or (CONNECT, SILENCE)
        answer = super().send(request, **kwargs)
        if not kwargs.get("stream"):
            # Of a service of tokens, which is read at once: what is longer is no token.
            with closing(answer.raw) as body:
                answer.raw = BytesIO(body.read(LARGEST_TOKEN, decode_content=True))
        return answer

    def close(self) -> None:
        # Clearing alone leaves connections to the garbage collector.
        pools = self.poolmanager.pools
        for pool in filter(None, map(pools.get, pools.keys())):
            pool.close()
        super().close()


def _session(tls: ssl.SSLContext, reference: Reference) -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # no proxies, and no passwords of a .netrc
    session.max_redirects = MOST_REDIRECTS
    session.adapters.clear()
    session.mount("https://", _Adapter(tls))

    def judge(response: requests.Response, *_: Any, **__: Any) -> None:
        # Here, so that it counts for the service of tokens as well, whose answer oras reads.
        if response.status_code in LATER or response.status_code >= 500:
            after = asked_pause(response.headers.get("Retry-After"))
            response.close()
            raise unavailable(reference, f"it answers {response.status_code}", after)

    session.hooks["response"].append(judge)
    return session


def _challenges(response: requests.Response) -> bool:
    """Whether an answer asks for another token. Some say 403 of one that is for less."""
    status = response.status_code
    return status == 401 or (status == 403 and "Www-Authenticate" in response.headers)


def _refusal(response: requests.Response) -> Refusal:
    codes = _codes(response)
    more = f" ({', '.join(codes)})" if codes else ""
    return Refusal(response.status_code, f"it answers {response.status_code}{more}", codes)


def _codes(response: requests.Response) -> tuple[str, ...]:
    try:
        text = response.raw.read(64 * 1024, decode_content=True)
        found = [str(each["code"])[:40] for each in json.loads(text)["errors"][:3]]
    except (ValueError, LookupError, TypeError, RecursionError, urllib3.exceptions.HTTPError):
        return ()
    return tuple(each for each in found if each.isidentifier())
