"""Who may do what: accounts, the scopes that clients ask for, and the tokens that carry them.

The protocol is the token authentication of the distribution project: a refused request names a
place for tokens and a scope, the client fetches a token there with its name and password, and comes
back with it. Tokens are signed with a secret of this process (JSON Web Tokens, HS256).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from kaito.local.registry.errors import Code, RegistryError

LIFETIME = 300  # seconds; no client needs one longer than a push takes to begin


class Action(StrEnum):
    """What can be done with a repository, or with the catalogue (`*`)."""

    PULL = "pull"
    PUSH = "push"
    DELETE = "delete"
    ALL = "*"


REPOSITORY_ACTIONS = frozenset({Action.PULL, Action.PUSH, Action.DELETE})


@dataclass(frozen=True, slots=True)
class Scope:
    """Some actions with one thing: a repository, or the catalogue of the registry."""

    kind: str
    name: str
    actions: frozenset[Action]

    @staticmethod
    def repository(name: str, *actions: Action) -> Scope:
        return Scope("repository", name, frozenset(actions))

    @staticmethod
    def catalog() -> Scope:
        return Scope("registry", "catalog", frozenset({Action.ALL}))

    def __str__(self) -> str:
        actions = ",".join(action for action in Action if action in self.actions)
        return f"{self.kind}:{self.name}:{actions}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Somebody with a password, and what he may do with every repository."""

    name: str
    password: str = field(repr=False)
    actions: frozenset[Action] = REPOSITORY_ACTIONS


@dataclass(frozen=True, slots=True)
class Grant:
    """What a request may do. A name without a password is "" (anonymous)."""

    subject: str
    scopes: tuple[Scope, ...]

    def allows(self, wanted: Scope) -> bool:
        have = {
            action
            for scope in self.scopes
            if (scope.kind, scope.name) == (wanted.kind, wanted.name)
            for action in scope.actions
        }
        return wanted.actions <= have


class Access:
    """The accounts of one registry. `service` is its name in challenges and tokens.

    With `anonymous_pull` whoever has no account may pull.
    """

    def __init__(
        self,
        accounts: Iterable[Account],
        *,
        service: str,
        anonymous_pull: bool = False,
        secret: bytes = b"",
    ) -> None:
        self._accounts = {account.name: account for account in accounts}
        self._anonymous = frozenset({Action.PULL}) if anonymous_pull else frozenset[Action]()
        self._secret = secret or secrets.token_bytes(32)
        self.service = service

    def login(self, authorization: str) -> Account | None:
        """The account of a Basic authorization; None without one. RegistryError UNAUTHORIZED."""
        scheme, _, credentials = authorization.partition(" ")
        return self.account(*_basic(credentials)) if scheme.lower() == "basic" else None

    def allows(self, authorization: str, wanted: Scope | None, now: float) -> bool:
        """Whether a request with this Authorization header may do this; with None, whether it
        comes from anybody in particular. RegistryError UNAUTHORIZED for a wrong password."""
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() == "bearer":
            grant = self._read(credentials.strip(), now)
            return grant is not None and (wanted is None or grant.allows(wanted))
        account = self.login(authorization)
        if wanted is None:
            return account is not None
        return self.grant(account, [wanted]).allows(wanted)

    def account(self, name: str, password: str) -> Account:
        """The account with this password. RegistryError UNAUTHORIZED."""
        account = self._accounts.get(name)
        expected = account.password if account is not None else secrets.token_hex()
        if hmac.compare_digest(expected.encode(), password.encode()) and account is not None:
            return account
        headers = {"www-authenticate": f'Basic realm="{self.service}"'}
        raise RegistryError(Code.UNAUTHORIZED, "wrong name or password", headers=headers)

    def grant(self, account: Account | None, wanted: Iterable[Scope]) -> Grant:
        """What an account gets of what it asks for; None is somebody without one."""
        actions = account.actions if account is not None else self._anonymous
        scopes = (_granted(scope, actions, account is not None) for scope in wanted)
        return Grant(
            account.name if account is not None else "",
            tuple(scope for scope in scopes if scope.actions),
        )

    def token(self, grant: Grant, now: float) -> str:
        """A token for what was granted."""
        claims = {
            "iss": self.service,
            "aud": self.service,
            "sub": grant.subject,
            "iat": int(now),
            "exp": int(now) + LIFETIME,
            "access": [
                {"type": scope.kind, "name": scope.name, "actions": sorted(scope.actions)}
                for scope in grant.scopes
            ],
        }
        head = _encode({"alg": "HS256", "typ": "JWT"})
        signed = f"{head}.{_encode(claims)}"
        return f"{signed}.{self._sign(signed)}"

    def _read(self, token: str, now: float) -> Grant | None:
        # What is no text at all in a header arrives as lone surrogates.
        signed, _, signature = token.encode(errors="replace").decode().rpartition(".")
        if not hmac.compare_digest(self._sign(signed).encode(), signature.encode()):
            return None
        claims = json.loads(_decode(signed.partition(".")[2]))
        if claims["aud"] != self.service or claims["exp"] <= now:
            return None
        return Grant(claims["sub"], tuple(map(_scope_of, claims["access"])))

    def _sign(self, text: str) -> str:
        signature = hmac.new(self._secret, text.encode(), hashlib.sha256).digest()
        return _text(signature)


def read_scopes(texts: Iterable[str]) -> list[Scope]:
    """The scopes that a client asks for; what is none is left out, as it grants nothing."""
    found = []
    for text in " ".join(texts).split():
        kind, _, rest = text.partition(":")
        name, _, actions = rest.rpartition(":")
        known = {action for action in Action if action in actions.split(",")}
        if kind in ("repository", "registry") and name:
            found.append(Scope(kind, name, frozenset(known)))
    return found


def _granted(scope: Scope, allowed: frozenset[Action], known: bool) -> Scope:
    if scope.kind == "registry":
        # Whoever has an account may see which repositories there are.
        return scope if known and scope == Scope.catalog() else Scope("", "", frozenset())
    wanted = REPOSITORY_ACTIONS if Action.ALL in scope.actions else scope.actions
    return Scope(scope.kind, scope.name, wanted & allowed)


def _scope_of(wire: Mapping[str, Any]) -> Scope:
    return Scope(wire["type"], wire["name"], frozenset(map(Action, wire["actions"])))


def _basic(credentials: str) -> tuple[str, str]:
    try:
        name, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return name, password


def _encode(claims: Mapping[str, Any]) -> str:
    return _text(json.dumps(claims, separators=(",", ":")).encode())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
