"""Authentication: who asks, by bearer token, and whom they stand in for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import unquote

from kaito.local.apiserver.core import User
from kaito.local.apiserver.fields import go_quote
from kaito.local.apiserver.http import Request
from kaito.local.apiserver.rbac import Attributes, Authorizer, account_groups
from kaito.local.apiserver.status import StatusError, bad_request, forbidden

KNOWN = "system:authenticated"
MASTERS = "system:masters"
ANONYMOUS = "system:anonymous"
EXTRA = "impersonate-extra-"


class Authenticator:
    """`tokens` maps bearer tokens to user names; with none, everybody is an administrator.

    `account` knows the tokens of service accounts.
    """

    def __init__(
        self,
        tokens: Mapping[str, str],
        account: Callable[[str], User | None],
        authorizer: Authorizer,
    ) -> None:
        self._tokens = tokens
        self._account = account
        self._authorizer = authorizer

    def user_of(self, token: str) -> User | None:
        """Whose token this is; None where it is nobody's."""
        name = self._tokens.get(token)
        return self._account(token) if name is None else User(name, (MASTERS, KNOWN))

    def authenticate(self, request: Request) -> User:
        """Who asks. Raises StatusError: 401 for a wrong token, 403 for a borrowed name."""
        user = self._by_token(request)
        wanted = request.headers.get("impersonate-user", "")
        if not wanted:
            _complete(request)
            return user
        groups = [g for g in request.headers.get("impersonate-group", "").split(",") if g]
        account = wanted.removeprefix("system:serviceaccount:")
        if account != wanted and ":" in account:
            self._may_be(user, "serviceaccounts", *account.split(":", 1))
        else:
            self._may_be(user, "users", "", wanted)
        for group in groups:
            self._may_be(user, "groups", "", group)
        extra = {
            unquote(name.removeprefix(EXTRA)): value.split(",")
            for name, value in request.headers.items()
            if name.startswith(EXTRA)
        }
        uid = request.headers.get("impersonate-uid", "")
        known = "system:unauthenticated" if wanted == ANONYMOUS else KNOWN
        return User(wanted, (*(groups or account_groups(wanted)), known), uid, extra)

    def _by_token(self, request: Request) -> User:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            user = self.user_of(token.strip())
            if user is not None:
                return user
            if self._tokens:
                raise StatusError(401, "Unauthorized", "Unauthorized")
        if not self._tokens:
            return User("admin", (MASTERS, KNOWN))
        return User(ANONYMOUS, ("system:unauthenticated",))

    def _may_be(self, user: User, plural: str, namespace: str, name: str) -> None:
        attributes = Attributes(user, "impersonate", "", plural, "", namespace, name)
        if not self._authorizer.allows(attributes):
            where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
            raise forbidden(
                "",
                plural,
                name,
                f'User "{user.name}" cannot impersonate resource "{plural}" '
                f'in API group "" {where}',
            )


def _complete(request: Request) -> None:
    """Raises StatusError (400) where parts of somebody are borrowed and no name."""
    text = request.headers.get("impersonate-group", "")
    groups = [g for g in text.split(",") if g]
    uid = request.headers.get("impersonate-uid", "")
    if groups or uid:
        listed = ", ".join(go_quote(g) for g in groups)
        shown = f"[]string{{{listed}}}" if groups else "[]string(nil)"
        raise bad_request(
            f'requested &user.DefaultInfo{{Name:"", UID:{go_quote(uid)}, Groups:{shown}, '
            "Extra:map[string][]string(nil)} without impersonating a user name"
        )
