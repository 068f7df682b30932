"""Authorization of requests: asks the authorizer, has it written down, and refuses in the words of
the server."""

from __future__ import annotations

from kaito.local.apiserver import selectors
from kaito.local.apiserver.admission import Review
from kaito.local.apiserver.audit import Audit
from kaito.local.apiserver.core import User
from kaito.local.apiserver.http import Request
from kaito.local.apiserver.paths import Target
from kaito.local.apiserver.rbac import Attributes, Authorizer
from kaito.local.apiserver.status import StatusError, forbidden


def require(
    authorizer: Authorizer,
    audit: Audit,
    user: User,
    request: Request,
    goal: Target | None,
    verb: str,
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
    grant = authorizer.grant(wanted)
    audit.note(wanted, grant)
    if grant is not None:
        return
    if goal is None:
        why = f'forbidden: User "{user.name}" cannot {verb} path "{request.path}"'
        raise StatusError(403, "Forbidden", why, {})
    what = f"{goal.plural}/{goal.subresource}" if goal.subresource else goal.plural
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    why = f'User "{user.name}" cannot {verb} resource "{what}" in API group "{goal.group}" {where}'
    raise forbidden(goal.group, goal.plural, name, why)


class CreateByWrite:
    """Whoever makes an object by a PUT or an apply needs the right to create it as well."""

    def __init__(self, authorizer: Authorizer, audit: Audit) -> None:
        self._authorizer = authorizer
        self._audit = audit

    async def mutate(self, review: Review) -> None:
        """Nothing is changed."""

    async def validate(self, review: Review) -> None:
        """Raises StatusError (403), in which a real server gives no reason."""
        call, goal = review.call, review.call.target
        if review.operation != "CREATE" or call.verb == "create":
            return
        where = goal.name if goal.plural == "namespaces" and not goal.group else goal.namespace
        wanted = Attributes(
            call.user, "create", goal.group, goal.plural, goal.subresource, where, goal.name
        )
        grant = self._authorizer.grant(wanted)
        self._audit.note(wanted, grant)
        if grant is None:
            raise forbidden(goal.group, goal.plural, goal.name, "")


def _selected(request: Request) -> str:
    """The one name that a field selector asks for."""
    try:
        terms = selectors.field_terms(request.parameters().get("fieldSelector"))
    except selectors.SelectorError:
        return ""
    names = [t.value for t in terms if t.field == "metadata.name" and t.operator == "="]
    return names[0] if names else ""
