"""Tokens of ServiceAccounts for the pods that run as them, renewed before they expire."""

from __future__ import annotations

import msgspec

from kaito.runtime import Call, Client, Clock, Object

ACCOUNT = "default"
LASTS = 3607  # seconds; what the API server gives to the volume that every pod has
RENEW_AFTER = 0.8  # of its life; a kubelet's


class Accounts:
    """Asks for tokens, and remembers each until it is time to renew it."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._held: dict[str, dict[tuple[str, int], tuple[float, bytes]]] = {}

    async def token(self, pod: Object, audience: str = "", lasts: int | None = None) -> bytes:
        """A token of the pod's account. ApiError when there is no such account."""
        uid, lasts = pod["metadata"]["uid"], lasts or LASTS
        held = self._held.setdefault(uid, {})
        now = self._clock.now()
        renewed, token = held.get((audience, lasts), (0.0, b""))
        if now >= renewed:
            token = await self._ask(pod, audience, lasts)
            held[audience, lasts] = (now + lasts * RENEW_AFTER, token)
        return token

    def due(self, uid: str) -> float | None:
        """Seconds until a token of this pod has to be renewed, None when it has none."""
        times = [renewed for renewed, _ in self._held.get(uid, {}).values()]
        return max(0.0, min(times) - self._clock.now()) if times else None

    def forget(self, uid: str) -> None:
        """The pod is gone."""
        self._held.pop(uid, None)

    async def _ask(self, pod: Object, audience: str, lasts: int) -> bytes:
        namespace = pod["metadata"]["namespace"]
        account = pod["spec"].get("serviceAccountName") or ACCOUNT
        spec = {"audiences": [audience] if audience else [], "expirationSeconds": lasts}
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        answer = await self._client.send(
            Call(
                method="POST",
                path=f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token",
                headers={"Content-Type": "application/json", "Accept": "application/json"},
                body=msgspec.json.encode(request),
            )
        )
        token: str = msgspec.json.decode(answer)["status"]["token"]
        return token.encode()
