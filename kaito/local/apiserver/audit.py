"""What service accounts do with the rights that roles give them: what is used, what is refused.

Written down for each request as it is authorized; questions about rights are no use of them. What
is written down is bounded by what roles grant, and forgotten with the server.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kaito.local.apiserver.escalation import pieces
from kaito.local.apiserver.rbac import Attributes, Authorizer, Grant, account_of, rule_allows

Object = dict[str, Any]
PREFIX = "system:serviceaccount:"
MOST_REFUSALS = 1000


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One verb on one thing, as kubectl names it. `where` is a namespace, "" for everywhere."""

    role: str
    """Kind and name of the role that grants it; "" for what none does."""
    where: str
    thing: str
    verb: str
    name: str = ""

    def __str__(self) -> str:
        named = f" {self.name}" if self.name else ""
        within = f" in {self.where}" if self.where else ""
        return f"{self.verb} {self.thing}{named}{within}{f' ({self.role})' if self.role else ''}"


class Audit:
    """The record of one server. Accounts are named NAMESPACE:NAME."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer
        self._used: dict[str, set[Right]] = {}
        self._refused: dict[tuple[str, Right], None] = {}

    def note(self, wanted: Attributes, grant: Grant | None) -> None:
        """A request is allowed by a grant, or refused."""
        user = wanted.user.name
        if not user.startswith(PREFIX):
            return
        account = user.removeprefix(PREFIX)
        if grant is not None:
            used = self._used.setdefault(account, set())
            used.update(_right(grant, p) for p in pieces(grant.rule) if rule_allows(p, wanted))
        elif len(self._refused) < MOST_REFUSALS:
            right = Right("", wanted.namespace, _asked(wanted), wanted.verb, wanted.name)
            self._refused[account, right] = None

    def unused(self, account: str) -> list[Right]:
        """What roles grant to this very account, and it has not made use of."""
        return sorted(set(self._granted(account)) - self._used.get(account, set()))

    def refused(self, account: str) -> list[Right]:
        """What it has asked for in vain, each once, in order of the first time."""
        return [right for whose, right in self._refused if whose == account]

    def accounts(self) -> list[str]:
        """The accounts that bindings name, and those that were refused something."""
        named = {account for _, account in self._bound()}
        return sorted(named | {account for account, _ in self._refused})

    def _granted(self, account: str) -> Iterator[Right]:
        for binding, whose in self._bound():
            if whose == account:
                for grant in self._authorizer.granted(binding, account):
                    yield from (_right(grant, piece) for piece in pieces(grant.rule))

    def _bound(self) -> Iterator[tuple[Object, str]]:
        for binding in self._authorizer.bindings():
            where = binding["metadata"].get("namespace", "")
            for subject in binding.get("subjects") or ():
                if subject.get("kind") == "ServiceAccount":
                    yield binding, account_of(subject, where).removeprefix(PREFIX)


def _right(grant: Grant, piece: Object) -> Right:
    if "nonResourceURLs" in piece:
        thing = piece["nonResourceURLs"][0]
    else:
        thing = _thing(piece["apiGroups"][0], piece["resources"][0])
    name = (piece.get("resourceNames") or ("",))[0]
    return Right(grant.role, grant.namespace, thing, piece["verbs"][0], name)


def _asked(wanted: Attributes) -> str:
    if wanted.path:
        return wanted.path
    sub = f"/{wanted.subresource}" if wanted.subresource else ""
    return _thing(wanted.group, f"{wanted.resource}{sub}")


def _thing(group: str, resource: str) -> str:
    """Such as nodes, leases.coordination.k8s.io, machines.karpenter.sh/status."""
    plural, slash, subresource = resource.partition("/")
    return f"{plural}.{group}{slash}{subresource}" if group else resource
