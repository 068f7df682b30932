"""Authorization of requests: asks the authorizer, and refuses in the words of the server."""

from __future__ import annotations

from kaito.local.apiserver.core import User
from kaito.local.apiserver.http import Request
from kaito.local.apiserver.paths import Target
from kaito.local.apiserver.rbac import Attributes, Authorizer
from kaito.local.apiserver.status import StatusError, forbidden


def require(
    authorizer: Authorizer, user: User, request: Request, goal: Target | None, verb: str
) -> None:
    """Raises StatusError (403). Without a goal the path itself is asked for."""
    if goal is None:
        wanted = Attributes(user, verb, path=request.path)
    else:
        wanted = Attributes(
            user, verb, goal.group, goal.plural, goal.subresource, goal.namespace, goal.name
        )
    if authorizer.allows(wanted):
        return
    if goal is None:
        why = f'forbidden: User "{user.name}" cannot {verb} path "{request.path}"'
        raise StatusError(403, "Forbidden", why, {})
    what = f"{goal.plural}/{goal.subresource}" if goal.subresource else goal.plural
    where = f'in the namespace "{goal.namespace}"' if goal.namespace else "at the cluster scope"
    why = f'User "{user.name}" cannot {verb} resource "{what}" in API group "{goal.group}" {where}'
    raise forbidden(goal.group, goal.plural, goal.name, why)
