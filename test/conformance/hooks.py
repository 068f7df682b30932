"""An admission webhook of a test's own, served over TLS on the loopback."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from kaito.local.pki import ensure_pki
from test.conformance.objects import Object

Verdict = Callable[[Object], Object]

ADMISSION = "/apis/admissionregistration.k8s.io/v1"


class Hook:
    """A running webhook: `asked` are the requests it was sent, `verdict` answers them."""

    def __init__(self, verdict: Verdict) -> None:
        self.asked: list[Object] = []
        self.verdict = verdict
        self.config: Object = {}

    async def answer(self, request: web.Request) -> web.Response:
        review = json.loads(await request.read())
        self.asked.append(review["request"])
        response = {"uid": review["request"]["uid"], **self.verdict(review["request"])}
        kind = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
        return web.json_response({**kind, "response": response})


@asynccontextmanager
async def serving(directory: Path, verdict: Verdict) -> AsyncIterator[Hook]:
    """A webhook that answers with `verdict` until the end of the block."""
    pki = ensure_pki(directory, time.time())
    hook = Hook(verdict)
    application = web.Application()
    application.router.add_post("/", hook.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=pki.server_context())
    await site.start()
    port = runner.addresses[0][1]
    bundle = base64.b64encode(pki.ca_pem().encode()).decode()
    hook.config = {"url": f"https://127.0.0.1:{port}/", "caBundle": bundle}
    try:
        yield hook
    finally:
        await runner.cleanup()


def allow(_: Object) -> Object:
    return {"allowed": True}


def patching(*operations: Object) -> Verdict:
    patch = base64.b64encode(json.dumps(operations).encode()).decode()
    return lambda _: {"allowed": True, "patchType": "JSONPatch", "patch": patch}


def configuration(kind: str, word: str, client: Object, group: str, **options: Any) -> Object:
    """A configuration that concerns creations and updates of one group's objects."""
    rule = {
        "apiGroups": [group],
        "apiVersions": ["*"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["*"],
    }
    hook = {
        "name": f"{word}.example.com",
        "clientConfig": client,
        "rules": [rule],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": word}},
        "timeoutSeconds": 5,
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": word},
        "webhooks": [hook | options],
    }
