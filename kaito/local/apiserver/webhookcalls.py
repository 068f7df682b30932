"""Asking one webhook: the request over TLS, its answer read, and every way that can fail."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import ssl
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from kaito.local.apiserver.fields import go_quote
from kaito.local.apiserver.jsontext import TextError, encode, parse_json
from kaito.local.apiserver.scalars import json_kind

Object = dict[str, Any]
Resolver = Callable[[str, str, str, str], "tuple[str, int] | None"]
PROBE = (
    'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; '
    'Kind string "json:\\"kind,omitempty\\"" }'
)
GROUP = "admission.k8s.io"
# What a plain HTTP failure is called.
STATUSES = {
    400: "the server rejected our request for an unknown reason",
    401: "the server has asked for the client to provide credentials",
    403: "unknown",
    404: "the server could not find the requested resource",
    405: "the server does not allow this method on the requested resource",
    409: "the server reported a conflict",
    429: "the server has received too many requests and has asked us to try again later",
    503: "the server is currently unable to handle the request",
    504: "the server was unable to return a response in the time allotted, but may still be "
    "processing the request",
}
FIELDS = {"allowed": (bool, "bool"), "uid": (str, "string"), "patchType": (str, "string")}


class CallFailed(Exception):
    """No usable answer; the message is the server's."""


def target(config: Object) -> str:
    """Where a webhook is, as failures show it."""
    if config.get("url"):
        return str(config["url"])
    service = config.get("service") or {}
    path = service.get("path") or "/"
    host = f"{service.get('name')}.{service.get('namespace')}.svc"
    return f"https://{host}:{service.get('port', 443)}{path if path[0] == '/' else '/' + path}"


@lru_cache(32)
def _context(bundle: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if bundle:
        context.load_verify_locations(cadata=base64.b64decode(bundle).decode())
    return context


async def ask(
    config: Object, question: Object, seconds: int, resolver: Resolver | None, *, mutating: bool
) -> Object:
    """The response of a webhook. Raises CallFailed."""
    shown = f'Post "{target(config)}?timeout={seconds}s"'
    try:
        async with asyncio.timeout(seconds):
            status, kind, body = await _post(config, encode(question), seconds, resolver)
    except TimeoutError as error:
        raise _failed(f"{shown}: context deadline exceeded") from error
    except aiohttp.ClientConnectorCertificateError as error:
        raise _failed(f"{shown}: {_untrusted(error)}") from error
    except aiohttp.ClientConnectorError as error:
        raise _failed(f"{shown}: {_unreachable(error)}") from error
    except aiohttp.ServerDisconnectedError as error:
        raise _failed(f"{shown}: EOF") from error
    except (aiohttp.ClientError, OSError) as error:
        raise _failed(f"{shown}: {error}") from error
    if not 200 <= status <= 206:
        raise _failed(_refused(status, body))
    review = _review(status, kind, body, question["apiVersion"])
    return _verified(review, question, mutating=mutating)


def refused(config: Object, seconds: int) -> CallFailed:
    """What is said of a webhook whose port nobody listens on."""
    parts = urlsplit(target(config))
    shown = f'Post "{target(config)}?timeout={seconds}s"'
    return _failed(
        f"{shown}: dial tcp {parts.hostname}:{parts.port or 443}: connect: connection refused"
    )


def _failed(why: str) -> CallFailed:
    return CallFailed(f"failed to call webhook: {why}")


def _untrusted(error: aiohttp.ClientConnectorCertificateError) -> str:
    inner = error.certificate_error
    if getattr(inner, "verify_code", 0) in {18, 19, 20, 21}:
        return "tls: failed to verify certificate: x509: certificate signed by unknown authority"
    return f"tls: failed to verify certificate: {inner}"


def _unreachable(error: aiohttp.ClientConnectorError) -> str:
    inner = error.os_error
    if isinstance(inner, ConnectionRefusedError):
        return f"dial tcp {error.host}:{error.port}: connect: connection refused"
    if getattr(inner, "errno", 0) in {-2, -3, -5}:
        return f"dial tcp: lookup {error.host}: no such host"
    return f"dial tcp {error.host}:{error.port}: {inner}"


async def _post(
    config: Object, body: bytes, seconds: int, resolver: Resolver | None
) -> tuple[int, str, bytes]:
    url, server_name = config.get("url"), None
    if not url:
        service = config.get("service") or {}
        name, namespace = service.get("name", ""), service.get("namespace", "")
        server_name = f"{name}.{namespace}.svc"
        port = str(service.get("port", 443))
        found = resolver(namespace, "services", name, port) if resolver else None
        if found is None:
            raise OSError(f'service "{name}" not found')
        url = f"https://{found[0]}:{found[1]}{service.get('path') or '/'}"
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            url,
            data=body,
            params={"timeout": f"{seconds}s"},
            ssl=_context(config.get("caBundle") or ""),
            server_hostname=server_name,
            allow_redirects=False,
            headers={"content-type": "application/json", "accept": "application/json, */*"},
        ) as reply,
    ):
        return reply.status, reply.headers.get("content-type", ""), await reply.read()


def _refused(status: int, body: bytes) -> str:
    """What a failure of the webhook's own server is called."""
    try:
        found = parse_json(body)
    except TextError:
        found = None
    if isinstance(found, dict) and found.get("kind") == "Status" and found.get("message"):
        return str(found["message"])
    if status in STATUSES:
        return STATUSES[status]
    if status >= 500:
        return 'an error on the server ("unknown") has prevented the request from succeeding'
    return f"the server responded with the status code {status} but did not return more information"


def _review(status: int, kind: str, body: bytes, asked: str) -> Object:
    if not body:
        raise _failed(f"0-length response with status code: {status} and content type: {kind}")
    try:
        found = parse_json(body)
    except TextError:
        found = body.decode(errors="replace")
    if not isinstance(found, dict):
        raise _failed(
            "couldn't get version/kind; json parse error: json: cannot unmarshal "
            f"{json_kind(found)} into Go value of type {PROBE}"
        )
    name, version = found.get("kind") or "AdmissionReview", found.get("apiVersion") or asked
    if name != "AdmissionReview" or not version.startswith(f"{GROUP}/"):
        raise _failed(
            f"no kind {go_quote(name)} is registered for version {go_quote(version)} in scheme "
            '"k8s.io/apiserver/pkg/util/webhook/client.go:71"'
        )
    if version != asked:
        was, wanted = version.rpartition("/")[2], asked.rpartition("/")[2]
        raise _failed(
            f"converting ({was}.AdmissionReview) to ({wanted}.AdmissionReview): unknown conversion"
        )
    return dict(found)


def _verified(review: Object, question: Object, *, mutating: bool) -> Object:
    response = review.get("response")
    if response is None:
        raise _invalid("webhook response was absent")
    for name, (kind, shown) in FIELDS.items():
        value = response.get(name)
        if value is not None and not isinstance(value, kind):
            raise _failed(
                f"json: cannot unmarshal {json_kind(value)} into Go struct field "
                f"AdmissionResponse.response.{name} of type {shown}"
            )
    response = {**response, "patch": _patch(response.get("patch") or "")}
    uid = question["request"]["uid"]
    if question["apiVersion"] == f"{GROUP}/v1":
        if response.get("uid", "") != uid:
            given = go_quote(response.get("uid", ""))
            raise _invalid(f"expected response.uid={go_quote(uid)}, got {given}")
        _check_patch(response, mutating=mutating)
    elif response["patch"]:
        response["patchType"] = "JSONPatch"
    return response


def _patch(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        at = re.search(r"[^A-Za-z0-9+/]", text)
        where = at.start() if at else len(text)
        raise _failed(f"illegal base64 data at input byte {where}") from error


def _check_patch(response: Object, *, mutating: bool) -> None:
    patch, kind = response["patch"], response.get("patchType")
    if not mutating:
        if patch:
            raise _invalid("validating webhook may not return response.patch")
        if kind is not None:
            raise _invalid("validating webhook may not return response.patchType")
        return
    if patch and kind is None:
        raise _invalid("webhook returned response.patch but not response.patchType")
    if not patch and kind is not None:
        raise _invalid("webhook returned response.patchType but not response.patch")
    if kind == "":
        raise _invalid('webhook returned invalid response.patchType of ""')


def _invalid(why: str) -> CallFailed:
    return CallFailed(f"received invalid webhook response: {why}")
