"""What service accounts may do and never did, and what they were refused, over HTTP.

    kubectl get --raw /local/access
    {"kaito-system:kaito-provisioner": {"unused": ["delete nodes (ClusterRole x)"], "refused": []}}

The path is no part of Kubernetes and lets in the cluster's administrator alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from kaito.local.apiserver.audit import Audit
from kaito.local.apiserver.http import Request, Response
from kaito.local.apiserver.status import StatusError, method_not_allowed

PATH = "/local/access"


class Access:
    """Mount `handle` at PATH. `tokens` are the bearer tokens that are let in."""

    def __init__(self, audit: Callable[[], Audit], *, tokens: Collection[str]) -> None:
        self._audit = audit
        self._tokens = frozenset(tokens)

    async def handle(self, request: Request) -> Response:
        """Answer one request. StatusError (401, 405)."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or token.strip() not in self._tokens:
            raise StatusError(401, "Unauthorized", "only the cluster's administrator is let in")
        if request.method != "GET":
            raise method_not_allowed()
        audit = self._audit()
        return Response.json(
            {
                account: {
                    "unused": [str(right) for right in audit.unused(account)],
                    "refused": [str(right) for right in audit.refused(account)],
                }
                for account in audit.accounts()
            }
        )
