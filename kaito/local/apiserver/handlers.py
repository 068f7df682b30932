"""The verbs of resources: from a call to a response in the wanted form."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver import bodies, deleteoptions, negotiation, tables
from kaito.local.apiserver.admission import Admission
from kaito.local.apiserver.core import Call, Core
from kaito.local.apiserver.creates import Creator
from kaito.local.apiserver.deletes import Deleter
from kaito.local.apiserver.http import JSON, Response
from kaito.local.apiserver.kinds import Kind
from kaito.local.apiserver.listoptions import parse_revision, read
from kaito.local.apiserver.lists import Lister, Page, list_body
from kaito.local.apiserver.negotiation import Wanted
from kaito.local.apiserver.options import write_options
from kaito.local.apiserver.patching import Patcher
from kaito.local.apiserver.rendering import render
from kaito.local.apiserver.status import (
    StatusError,
    bad_request,
    method_not_allowed,
    named,
    not_found,
)
from kaito.local.apiserver.updates import Updater
from kaito.local.apiserver.watches import Form, MetadataOnly, Rows, Watch, Watcher, Whole

Object = dict[str, Any]


# Kinds whose deletion answers the object even when it is gone at once.
SHOWN_WHEN_GONE = {
    *(
        ("", p)
        for p in (
            "persistentvolumeclaims",
            "persistentvolumes",
            "pods",
            "podtemplates",
            "resourcequotas",
            "serviceaccounts",
            "services",
        )
    ),
    *(
        ("storage.k8s.io", p)
        for p in (
            "csidrivers",
            "csinodes",
            "storageclasses",
            "volumeattachments",
            "volumeattributesclasses",
        )
    ),
    *(
        ("resource.k8s.io", p)
        for p in ("deviceclasses", "resourceclaims", "resourceclaimtemplates", "resourceslices")
    ),
}


def go_type(kind: Kind, suffix: str = "") -> str:
    """What the server's own code calls the type of an object, or with "List" that of a list."""
    if kind.custom:
        return f"*unstructured.Unstructured{suffix}"
    return f"*{kind.group.partition('.')[0] or 'core'}.{kind.kind}{suffix}"


class Handlers:
    """Serves get, list, watch, create, update, patch, delete and deletecollection."""

    def __init__(self, core: Core, admission: Admission) -> None:
        self.core = core
        self.creator = Creator(core, admission)
        self.updater = Updater(core, admission, self.creator)
        self.patcher = Patcher(core, self.updater, self.creator)
        self.deleter = Deleter(core, admission)
        self.lister = Lister(core)
        self.watcher = Watcher(core, self.lister)
        self.watches: set[Watch] = set()

    async def serve(self, call: Call) -> Response:
        """Raises StatusError for every failure."""
        match call.verb:
            case "get":
                return await self.get(call)
            case "list":
                return await self.list(call)
            case "watch":
                return await self.watch(call)
            case "create":
                return await self.create(call)
            case "update":
                return await self.update(call)
            case "patch":
                return await self.patch(call)
            case "delete":
                return await self.delete(call)
            case "deletecollection":
                return await self.delete_collection(call)
        raise method_not_allowed()

    def answer(
        self, kind: Kind, obj: Object, want: Wanted, status: int = 200, include: str = ""
    ) -> Response:
        """One object in the wanted form."""
        found = self.shaped(kind, obj, want, include)
        if want.media == JSON and not want.form:
            return Response(status, {"content-type": JSON}, kind.encode(found))
        return render(found, want.media, status)

    def shaped(self, kind: Kind, obj: Object, want: Wanted, include: str = "") -> Object:
        if want.form == "Table":
            now = self.core.clock.now()
            meta = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
            return tables.table(
                kind.columns,
                [tables.row(kind.columns, obj, now, include or "Metadata", want.version)],
                meta,
                version=want.version,
            )
        if want.form:
            negotiation.check_form(want, go_type(kind), listing=False)
            found = tables.partial(obj)
            found["apiVersion"] = f"meta.k8s.io/{want.version}"
            return found
        return obj

    def want(self, call: Call, *, listing: bool = False) -> Wanted:
        return negotiation.wanted(call.request, listing=listing, routed=not call.kind.custom)

    async def get(self, call: Call) -> Response:
        want = self.want(call)
        kind, target = call.kind, call.target
        version = parse_revision(call.query.get("resourceVersion"), listing=False)
        if version and version > self.core.store.revision:
            await self.lister.wait_for(version)
        record = self.core.record(kind, target.namespace, target.name)
        if record is None:
            raise not_found(kind.group, kind.plural, target.name)
        if want == Wanted():
            return Response(200, {"content-type": JSON}, kind.json(record))
        return self.answer(kind, kind.value(record), want, include=self._include(call))

    @staticmethod
    def _include(call: Call) -> str:
        found = call.query.get("includeObject")
        if found and found not in {"None", "Metadata", "Object"}:
            raise bad_request(
                "Unable to convert to Table as requested: includeObject: Invalid "
                f"value: \"{found}\": must be 'Metadata', 'Object', 'None', or "
                "empty"
            )
        return found or "Metadata"

    async def list(self, call: Call) -> Response:
        want = self.want(call, listing=True)
        page = await self.lister.page(call.kind, call.target.namespace, read(call.query))
        return self.listed(call, page, want)

    def listed(self, call: Call, page: Page, want: Wanted) -> Response:
        """A page in the wanted form."""
        kind = call.kind
        if not want.form:
            if want.media == JSON:
                return Response(200, {"content-type": JSON}, list_body(kind, page))
            return render(
                {
                    "kind": kind.list_kind,
                    "apiVersion": kind.api_version,
                    "metadata": page.metadata(),
                    "items": [kind.value(r) if kind.custom else r.value() for r in page.records],
                },
                want.media,
            )
        if want.form == "Table":
            now, include = self.core.clock.now(), self._include(call)
            rows = [
                tables.row(kind.columns, kind.value(r), now, include, want.version)
                for r in page.records
            ]
            return render(
                tables.table(kind.columns, rows, page.metadata(), version=want.version), want.media
            )
        negotiation.check_form(want, go_type(kind, "List"), listing=True)
        items = [tables.partial(kind.value(r)) for r in page.records]
        return render(
            {
                "kind": "PartialObjectMetadataList",
                "apiVersion": f"meta.k8s.io/{want.version}",
                "metadata": page.metadata(),
                "items": items or None,
            },
            want.media,
        )

    async def watch(self, call: Call) -> Response:
        want = negotiation.wanted(call.request, routed=not call.kind.custom, watching=True)
        form: Form = Whole()
        if want.form == "Table":
            form = Rows(self.core.clock.now, self._include(call), want.version)
        elif want.form:
            form = MetadataOnly(want.version)
        watch = await self.watcher.open(
            call.kind,
            call.target.namespace,
            read(call.query, watching=True),
            form,
            call.target.name,
        )
        self.watches.add(watch)

        async def stream() -> Any:
            try:
                async for chunk in watch.stream():
                    if chunk and want.form == negotiation.LISTED:
                        return  # the first event that cannot be shown ends the stream
                    yield chunk
            finally:
                watch.bucket.leave(watch)
                self.watches.discard(watch)

        return Response(200, {"content-type": JSON}, stream())

    async def create(self, call: Call) -> Response:
        want = self.want(call)
        options = write_options(call, "CreateOptions")
        obj = bodies.read_object(call.request, call.kind, self.core.kinds, options)
        stored = await self.creator.create(call, obj, options)
        return self.answer(call.kind, stored, want, 201)

    async def update(self, call: Call, subresource: str = "") -> Response:
        want = self.want(call)
        options = write_options(call, "UpdateOptions")
        obj = bodies.read_object(call.request, call.kind, self.core.kinds, options)
        stored, created = await self.updater.replace(call, obj, options, subresource)
        return self.answer(call.kind, stored, want, 201 if created else 200)

    async def patch(self, call: Call, subresource: str = "") -> Response:
        want = self.want(call)
        obj, created = await self.patcher.patch(call, subresource)
        return self.answer(call.kind, obj, want, 201 if created else 200)

    async def delete(self, call: Call) -> Response:
        """A Status when the object is gone (a pod is always shown), else the object."""
        want = self.want(call)
        options = deleteoptions.read(call.request, call.query, self.core.kinds.types)
        obj, gone = await self.deleter.delete(
            call, call.target.namespace, call.target.name, options
        )
        kind = call.kind
        if gone and (kind.group, kind.plural) not in SHOWN_WHEN_GONE:
            meta = obj["metadata"]
            details = named(kind.group, kind.plural, meta["name"])
            details["uid"] = meta["uid"]
            body = {
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Success",
                "details": details,
            }
            response = render(body, want.media)
        else:
            response = self.answer(kind, obj, want)
        return response

    async def delete_collection(self, call: Call) -> Response:
        """Deletes one page of a list, which is everything unless a limit is set."""
        want = self.want(call, listing=True)
        options = deleteoptions.read(call.request, call.query, self.core.kinds.types)
        page = await self.lister.page(call.kind, call.target.namespace, read(call.query))
        for record in page.records:
            namespace, _, name = record.key.rpartition("/")
            try:
                await self.deleter.delete(call, namespace, name, options)
            except StatusError as error:
                if error.code != 404:
                    raise
        return self.listed(call, page, want)
