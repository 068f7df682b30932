"""The HTTP side of the registry: lets requests in, finds out what is asked, answers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

from kaito.local.apiserver.http import Query, Request, Response
from kaito.local.registry.access import LIFETIME, Access, Account, Action, Scope, read_scopes
from kaito.local.registry.blobs import Upload
from kaito.local.registry.errors import Code, RegistryError
from kaito.local.registry.index import Entry
from kaito.local.registry.manifests import INDEX, MOST, parse
from kaito.local.registry.names import (
    Digest,
    Repository,
    Tag,
    content_digest,
    digest,
    is_digest,
    repository,
)
from kaito.local.registry.ranges import asked_range, check_chunk
from kaito.local.registry.routes import (
    MOUNT,
    Base,
    Catalog,
    OneBlob,
    OneManifest,
    Referrers,
    Route,
    Tags,
    Token,
    Uploads,
    route,
)
from kaito.local.registry.storage import Storage
from kaito.runtime import Clock, rfc3339

PAGE = 1000
"""Names that a list has at most, and has when nobody says how many."""
_FORM_MOST = 64 * 1024  # bytes of a request for a token
_NEEDS = {"GET": Action.PULL, "HEAD": Action.PULL, "DELETE": Action.DELETE}


class RegistryEndpoint:
    """Serves repositories. Mount `handle` at MOUNT, with request bodies streamed."""

    def __init__(self, storage: Storage, access: Access, clock: Clock) -> None:
        self._storage = storage
        self._access = access
        self._clock = clock

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        try:
            response = await self._answer(request)
        except RegistryError as error:
            response = _refusal(error)
        except ConnectionError:
            raise  # the client has gone
        except OSError as error:
            # The disk is full, say.
            response = _refusal(RegistryError(Code.UNKNOWN, error.strerror))
        response.headers["docker-distribution-api-version"] = "registry/2.0"
        if request.method == "HEAD" and isinstance(response.body, bytes):
            response.headers.setdefault("content-length", str(len(response.body)))
            response.body = b""
        return response

    async def _answer(self, request: Request) -> Response:
        where = route(request.path)
        if isinstance(where, Token):
            return await self._give_token(request)
        self._let_in(request, where)
        match where:
            case Base():
                return Response.json({})
            case Catalog() if request.method == "GET":
                return self._names(request, "_catalog", "repositories", self._storage.repositories)
            case Tags(name) if request.method == "GET":
                return self._tags(request, name)
            case OneManifest(name, reference):
                return await self._manifest(request, name, reference)
            case OneBlob(name, wanted):
                return self._blob(request, name, wanted)
            case Uploads(name, upload):
                return await self._upload(request, name, upload)
            case Referrers(name, subject) if request.method == "GET":
                return self._referrers(request, name, subject)
            case _:
                raise RegistryError(Code.UNSUPPORTED)

    # Letting in

    def _let_in(self, request: Request, where: Route) -> None:
        wanted = _scope(request.method, where)
        authorization = request.headers.get("authorization", "")
        if self._access.allows(authorization, wanted, self._clock.now()):
            return
        challenge = {"realm": f"{_base(request)}{MOUNT}token", "service": self._access.service}
        if wanted is not None:
            # Clients that push ask for both, and could not begin with one.
            asked = wanted.actions | ({Action.PULL} if Action.PUSH in wanted.actions else set())
            challenge["scope"] = str(Scope(wanted.kind, wanted.name, frozenset(asked)))
        if authorization.lower().startswith("bearer"):
            challenge["error"] = "insufficient_scope" if wanted else "invalid_token"
        words = ",".join(f'{name}="{value}"' for name, value in challenge.items())
        headers = {"www-authenticate": f"Bearer {words}"}
        detail = None if wanted is None else {"scope": str(wanted)}
        raise RegistryError(Code.UNAUTHORIZED, detail, headers=headers)

    def _may_pull(self, request: Request, name: Repository) -> bool:
        wanted = Scope.repository(name, Action.PULL)
        authorization = request.headers.get("authorization", "")
        return self._access.allows(authorization, wanted, self._clock.now())

    async def _give_token(self, request: Request) -> Response:
        """A token as the distribution project has it (GET), or as OAuth 2 has it (POST)."""
        account: Account | None
        if request.method == "GET":
            query = request.parameters()
            account = self._access.login(request.headers.get("authorization", ""))
            scopes = query.all("scope")
        elif request.method == "POST":
            form = parse_qs((await _read(request, _FORM_MOST)).decode(errors="replace"))
            if form.get("grant_type") != ["password"]:
                raise RegistryError(Code.UNSUPPORTED, "the grant_type must be password")
            account = self._access.account(
                form.get("username", [""])[0], form.get("password", [""])[0]
            )
            scopes = form.get("scope", [])
        else:
            raise RegistryError(Code.UNSUPPORTED)
        now = self._clock.now()
        grant = self._access.grant(account, read_scopes(scopes))
        token = self._access.token(grant, now)
        answer: dict[str, Any] = {
            "token": token,
            "access_token": token,
            "expires_in": LIFETIME,
            "issued_at": rfc3339(now),
        }
        if request.method == "POST":
            answer["scope"] = " ".join(map(str, grant.scopes))
        return Response.json(answer)

    # Lists

    def _tags(self, request: Request, name: Repository) -> Response:
        def tags(last: str, most: int) -> list[str]:
            return self._storage.tags(name, last, most)

        return self._names(request, f"{name}/tags/list", "tags", tags, {"name": name})

    def _names(
        self,
        request: Request,
        path: str,
        key: str,
        find: Any,
        more: Mapping[str, str] | None = None,
    ) -> Response:
        """One page of names, with a link to the next."""
        query = request.parameters()
        most = _number(query)
        names = find(query.get("last").encode(errors="replace").decode(), most + 1)
        response = Response.json({**(more or {}), key: names[:most]})
        if most and len(names) > most:
            rest = urlencode({"n": most, "last": names[most - 1]})
            response.headers["link"] = f'<{MOUNT}{path}?{rest}>; rel="next"'
        return response

    def _referrers(self, request: Request, name: Repository, subject: Digest) -> Response:
        wanted = request.parameters().get("artifactType")
        found = [
            _descriptor(entry)
            for entry in self._storage.referrers(name, subject)
            if wanted in ("", entry.artifact_type)
        ]
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": found}
        response = Response.json(index)
        response.headers["content-type"] = INDEX
        if wanted:
            response.headers["oci-filters-applied"] = "artifactType"
        return response

    # Manifests

    async def _manifest(
        self, request: Request, name: Repository, reference: Tag | Digest
    ) -> Response:
        match request.method:
            case "GET" | "HEAD":
                entry = self._storage.manifest(name, reference)
                headers = {**_content_headers(entry.digest), "content-type": entry.media_type}
                return Response(200, headers, self._storage.text(entry))
            case "PUT":
                return await self._put_manifest(request, name, reference)
            case "DELETE":
                self._storage.delete_manifest(name, reference)
                return Response(202)
            case _:
                raise RegistryError(Code.UNSUPPORTED)

    async def _put_manifest(
        self, request: Request, name: Repository, reference: Tag | Digest
    ) -> Response:
        text = await _read(request, MOST)
        manifest = parse(text, request.headers.get("content-type", "").partition(";")[0].strip())
        tag = None
        if is_digest(reference):
            _check_digest(text, Digest(reference))
        else:
            tag = Tag(reference)
        found = self._storage.put_manifest(name, text, manifest, tag)
        headers = {
            "location": f"{MOUNT}{name}/manifests/{found}",
            "docker-content-digest": found,
        }
        if manifest.subject is not None:
            headers["oci-subject"] = manifest.subject
        return Response(201, headers)

    # Blobs

    def _blob(self, request: Request, name: Repository, wanted: Digest) -> Response:
        if request.method == "DELETE":
            self._storage.delete_blob(name, wanted)
            return Response(202)
        if request.method not in ("GET", "HEAD"):
            raise RegistryError(Code.UNSUPPORTED)
        size = self._storage.blob_size(name, wanted)
        headers = {
            **_content_headers(wanted),
            "content-type": "application/octet-stream",
            "accept-ranges": "bytes",
        }
        start, length = asked_range(request.headers.get("range", ""), size)
        status = 200
        if (start, length) != (0, size):
            status = 206
            headers["content-range"] = f"bytes {start}-{start + length - 1}/{size}"
        headers["content-length"] = str(length)
        if request.method == "HEAD":
            return Response(status, headers)
        return Response(status, headers, self._storage.pour(wanted, start, length))

    async def _upload(self, request: Request, name: Repository, upload_id: str) -> Response:
        if not upload_id:
            if request.method != "POST":
                raise RegistryError(Code.UNSUPPORTED)
            return await self._begin(request, name)
        upload = self._storage.upload(name, upload_id)
        match request.method:
            case "GET":
                return Response(204, _upload_headers(upload))
            case "PATCH":
                check_chunk(request.headers, upload.size, _upload_headers(upload))
                await self._storage.append(upload, request.chunks())
                return Response(202, _upload_headers(upload))
            case "PUT":
                wanted = digest(request.parameters().get("digest"))
                check_chunk(request.headers, upload.size, _upload_headers(upload))
                await self._storage.append(upload, request.chunks())
                return self._finish(upload, wanted)
            case "DELETE":
                self._storage.cancel(upload)
                return Response(204)
            case _:
                raise RegistryError(Code.UNSUPPORTED)

    async def _begin(self, request: Request, name: Repository) -> Response:
        query = request.parameters()
        if query.get("mount"):
            wanted, source = digest(query.get("mount")), query.get("from")
            if source and self._mount(request, name, repository(source), wanted):
                return _created(name, wanted)
        if query.get("digest"):
            wanted = digest(query.get("digest"))
            upload = self._storage.begin(name)
            try:
                await self._storage.append(upload, request.chunks())
            except BaseException:
                # Nobody knows its name, so nobody could go on with it.
                self._storage.cancel(upload)
                raise
            return self._finish(upload, wanted)
        return Response(202, _upload_headers(self._storage.begin(name)))

    def _mount(
        self, request: Request, name: Repository, source: Repository, wanted: Digest
    ) -> bool:
        return self._may_pull(request, source) and self._storage.mount(name, source, wanted)

    def _finish(self, upload: Upload, wanted: Digest) -> Response:
        self._storage.finish(upload, wanted)
        return _created(upload.repository, wanted)


def _refusal(error: RegistryError) -> Response:
    # A detail may quote what a client sent, however broken: this writes any string.
    body = json.dumps(error.wire()).encode()
    return Response(error.status, {"content-type": "application/json", **error.headers}, body)


def _scope(method: str, where: Route) -> Scope | None:
    match where:
        case Base() | Token():
            return None
        case Catalog():
            return Scope.catalog()
        case Uploads(name, _):
            return Scope.repository(name, Action.PUSH)
        case Tags(name) | Referrers(name, _) | OneManifest(name, _) | OneBlob(name, _):
            return Scope.repository(name, _NEEDS.get(method, Action.PUSH))


def _base(request: Request) -> str:
    """The address the client used, as challenges carry whole URLs."""
    return f"https://{request.headers.get('host', '')}"


async def _read(request: Request, most: int) -> bytes:
    """A whole body. RegistryError 413 when it is longer than `most` bytes."""
    body = bytearray()
    async for chunk in request.chunks():
        body += chunk
        if len(body) > most:
            detail = {"reason": f"it has more than {most} bytes"}
            raise RegistryError(Code.MANIFEST_INVALID, detail, status=413)
    return bytes(body)


def _check_digest(text: bytes, wanted: Digest) -> None:
    found = content_digest(text)
    if found != wanted:
        raise RegistryError(Code.DIGEST_INVALID, {"digest": wanted, "content": found})


def _number(query: Query) -> int:
    """How many names a page has. RegistryError PAGINATION_NUMBER_INVALID."""
    text = query.get("n")
    if not text:
        return PAGE
    if not re.fullmatch(r"\d{1,9}", text):
        raise RegistryError(Code.PAGINATION_NUMBER_INVALID, {"n": text[:64]})
    return min(int(text), PAGE)


def _upload_headers(upload: Upload) -> dict[str, str]:
    return {
        "location": f"{MOUNT}{upload.repository}/blobs/uploads/{quote(upload.id)}",
        "range": f"0-{max(0, upload.size - 1)}",
        "docker-upload-uuid": upload.id,
    }


def _created(name: Repository, wanted: Digest) -> Response:
    headers = {"location": f"{MOUNT}{name}/blobs/{wanted}", "docker-content-digest": wanted}
    return Response(201, headers)


def _content_headers(wanted: Digest) -> dict[str, str]:
    return {"docker-content-digest": wanted, "etag": f'"{wanted}"'}


def _descriptor(entry: Entry) -> dict[str, Any]:
    wire: dict[str, Any] = {
        "mediaType": entry.media_type,
        "digest": entry.digest,
        "size": entry.size,
    }
    if entry.artifact_type:
        wire["artifactType"] = entry.artifact_type
    if entry.annotations:
        wire["annotations"] = entry.annotations
    return wire
