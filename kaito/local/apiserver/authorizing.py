"""Authorization of requests: asks the authorizer, and refuses in the words of the server."""

from __future__ import annotations

from kaito.local.apiserver import selectors
from kaito.local.apiserver.core import User
from kaito.local.apiserver.http import Request
from kaito.local.apiserver.paths import Target
from kaito.local.apiserver.rbac import Attributes, Authorizer
from kaito.local.apiserver.status import StatusError, forbidden


def require(
    authorizer: Authorizer, user: User, request: Request, goal: Target | None, verb: str
) -> None:
    """Raises StatusError (403). Without a goal the path itself is asked for."""
    namespace = name = ""
    if goal is None:
        wanted = Attributes(user, verb, path=request.path)
    else:
        itself = goal.plural == "namespaces" and not goal.group
        namespace = goal.name if itself else goal.namespace
        name = goal.name or (_selected(request) if verb in {"list", "watch"} else "")
        wanted = Attributes(user, verb, goal.group, goal.plural, goal.subresource, namespace, name)
    if authorizer.allows(wanted):
        return
    if goal is None:
        why = f'forbidden: User "{user.name}" cannot {verb} path "{request.path}"'
        raise StatusError(403, "Forbidden", why, {})
    what = f"{goal.plural}/{goal.subresource}" if goal.subresource else goal.plural
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    why = f'User "{user.name}" cannot {verb} resource "{what}" in API group "{goal.group}" {where}'
    raise forbidden(goal.group, goal.plural, name, why)


def _selected(request: Request) -> str:
    """The one name that a field selector asks for."""
    try:
        terms = selectors.field_terms(request.parameters().get("fieldSelector"))
    except selectors.SelectorError:
        return ""
    names = [t.value for t in terms if t.field == "metadata.name" and t.operator == "="]
    return names[0] if names else ""
