"""PATCH requests: which patch, over which object, under which manager."""

from __future__ import annotations

import json
from typing import Any

from kaito.local.apiserver import bodies, patches, typed
from kaito.local.apiserver.core import Call, Core
from kaito.local.apiserver.creates import Creator, ownership
from kaito.local.apiserver.fields import wrong
from kaito.local.apiserver.jsontext import TextError, parse_yaml, repeated_keys, repeated_yaml_keys
from kaito.local.apiserver.kinds import Kind
from kaito.local.apiserver.options import WriteOptions, write_options
from kaito.local.apiserver.ownership import structured
from kaito.local.apiserver.ownership.managers import Conflicts
from kaito.local.apiserver.scalars import json_kind
from kaito.local.apiserver.status import (
    StatusError,
    bad_request,
    conflict,
    invalid,
    not_found,
    plain_failure,
)
from kaito.local.apiserver.updates import Updater

Object = dict[str, Any]


class Patcher:
    """Patches objects of any kind."""

    def __init__(self, core: Core, updater: Updater, creator: Creator) -> None:
        self._core = core
        self._updater = updater
        self._creator = creator

    async def patch(self, call: Call, subresource: str = "") -> tuple[Object, bool, WriteOptions]:
        """The stored object, whether it was created, and the options with their warnings."""
        kind = call.kind
        bodies.check_size(call.request)
        form = patches.PATCH_TYPES.get(bodies.media_type(call.request), "")
        if not form or form == "cbor" or (form == "strategic" and kind.custom):
            raise self._unsupported(kind)
        options = write_options(
            call.request, call.query, "PatchOptions", apply=form == "apply", patch=True
        )
        options.warnings = call.warnings
        if form == "apply":
            obj, created = await self._apply(call, options, subresource)
            return obj, created, options
        change = self._change(call, form, options)
        return (
            await self._updater.update(call, change, options, subresource=subresource),
            False,
            options,
        )

    @staticmethod
    def _unsupported(kind: Kind) -> StatusError:
        if not kind.custom:
            return StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
        return StatusError(
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: "
            "application/json-patch+json, application/merge-patch+json, "
            "application/apply-patch+yaml",
        )

    def _change(self, call: Call, form: str, options: WriteOptions) -> Any:
        kind, body = call.kind, call.request.body
        repeated = repeated_keys(body) if options.validation != "Ignore" and form != "json" else []
        if form == "json":
            operations = patches.parse_json_patch(body)
            repeated = self._operation_repeats(body)

            def change(live: Object) -> Object:
                return self._settle(
                    kind, patches.json_patch(live, operations), live, repeated, options
                )
        elif form == "merge":
            merge = patches.parse_merge_patch(body)

            def change(live: Object) -> Object:
                return self._settle(kind, patches.merge_patch(live, merge), live, repeated, options)
        else:
            strategic = patches.parse_merge_patch(body, strategic=True)

            def change(live: Object) -> Object:
                merged = patches.strategic_merge(kind.node, live, strategic)
                return self._settle(kind, merged, live, repeated, options, strategic=strategic)

        return change

    @staticmethod
    def _operation_repeats(body: bytes) -> list[str]:
        return [f"json patch {p}" for p in repeated_keys(body)]

    def _settle(
        self,
        kind: Kind,
        patched: Any,
        live: Object,
        repeated: list[str],
        options: WriteOptions,
        *,
        strategic: Object | None = None,
    ) -> Object:
        """Decode what a patch made, as the server decodes it. Raises StatusError."""
        import copy

        original = patched

        def unfit(why: str) -> StatusError:
            if strategic is not None:
                text = patches.go_map(strategic)
            else:
                shown = printed_order(original, live, custom=kind.custom)
                text = json.dumps(shown, separators=(",", ":"), ensure_ascii=False)
            return invalid("", "", "", [wrong("patch", text, why)])

        if not isinstance(patched, dict):
            raise unfit(
                f"json: cannot unmarshal {json_kind(patched)} into Go value of type "
                f"v1.{kind.kind}"
            )
        patched = copy.deepcopy(patched)
        version, name = patched.get("apiVersion"), patched.get("kind")
        if (version, name) != (kind.api_version, kind.kind):
            if kind.custom:
                from kaito.local.apiserver.custom.bodies import foreign_kind

                raise unfit(foreign_kind(kind, version, name))
            if version != kind.api_version or name != kind.kind:
                raise unfit(
                    f'no kind "{name or ""}" is registered for version "{version or ""}" '
                    f'in scheme "{bodies.SCHEME}"'
                )
        if kind.custom:
            from kaito.local.apiserver.custom.bodies import clean_custom

            obj, unknown, fault = clean_custom(patched, kind)
            if fault:
                raise unfit(fault)
        else:
            try:
                decoded = typed.decode(kind.node, patched)
            except typed.WrongType as error:
                raise unfit(str(error)) from error
            obj, unknown = decoded.value, decoded.unknown
        if (repeated or unknown) and options.validation == "Strict":
            faults = [f'duplicate field "{p}"' for p in repeated] + [
                f'unknown field "{p}"' for p in unknown
            ]
            raise unfit(f"strict decoding error: {', '.join(faults)}")
        bodies.report("", bodies.listed(repeated, unknown), options)
        if not kind.custom:
            kind.behaviour.default(obj)
        return obj

    async def _apply(
        self, call: Call, options: WriteOptions, subresource: str
    ) -> tuple[Object, bool]:
        kind, core = call.kind, self._core
        applied = self._parse_apply(call)
        meta = applied.setdefault("metadata", {}) or {}
        applied["metadata"] = meta
        if not meta.get("name"):
            raise bad_request(
                f"the name of the object ({call.target.name} based on URL) was "
                "undeterminable: name must be provided"
            )
        record = core.record(kind, call.target.namespace, call.target.name)
        if record is None and subresource:
            raise not_found(kind.group, kind.plural, call.target.name)
        if record is None and meta.get("uid"):
            raise conflict(
                kind.group,
                kind.plural,
                call.target.name,
                f"uid mismatch: the provided object specified uid {meta['uid']}, "
                "and no existing object was found",
            )
        rules = ownership(kind, subresource)

        def change(live: Object) -> Object:
            self._match(call, applied, live)
            try:
                merged = rules.apply(
                    live, applied, options.manager, force=options.force, now=core.stamp()
                )
            except Conflicts as conflicts:
                raise conflicts.status() from conflicts
            except structured.Mismatch as error:
                raise self._untyped(kind, applied, error) from error
            return self._decode_applied(kind, merged, applied, options)

        if record is None:
            named = {"name": call.target.name}
            empty: Object = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": named}
            if kind.namespaced:
                named["namespace"] = call.target.namespace
            obj = change(empty)
            obj["metadata"].pop("resourceVersion", None)
            return await self._creator.create(call, obj, options, applied=True), True
        return await self._updater.update(
            call, change, options, subresource=subresource, owned=True
        ), False

    def _parse_apply(self, call: Call) -> Object:
        kind = call.kind
        try:
            applied = (
                parse_yaml(call.request.body)
                if not call.request.body.lstrip().startswith(b"{")
                else self._parse_flow(call.request.body)
            )
        except TextError as error:
            raise bad_request(
                f"error decoding YAML: error converting YAML to JSON: {error}"
            ) from error
        if not isinstance(applied, dict):
            raise bad_request(
                f"error decoding YAML: error unmarshaling JSON: while decoding JSON: "
                f"json: cannot unmarshal {json_kind(applied)} into Go value "
                "of type map[string]interface {}"
            )
        repeated = repeated_yaml_keys(call.request.body)
        if repeated and call.query.get("fieldValidation") == "Strict":
            lines = "\n  ".join(repeated)
            raise bad_request(
                "error strict decoding YAML: error converting YAML to JSON: yaml: "
                f"unmarshal errors:\n  {lines}"
            )
        if (
            not applied.get("kind")
            or not applied.get("apiVersion")
            or applied["kind"] != kind.kind
            or applied["apiVersion"] != kind.api_version
        ):
            raise bad_request(self._wrong_kind(kind, applied))
        if (applied.get("metadata") or {}).get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")
        return applied

    @staticmethod
    def _parse_flow(body: bytes) -> Any:
        from kaito.local.apiserver.jsontext import parse_json

        try:
            return parse_json(body)
        except TextError:
            return parse_yaml(body)

    @staticmethod
    def _wrong_kind(kind: Kind, applied: Object) -> str:
        group, _, version = (applied.get("apiVersion") or "").rpartition("/")
        return f"invalid object type: {group}/{version}, Kind={applied.get('kind') or ''}"

    def _match(self, call: Call, applied: Object, live: Object) -> None:
        meta, target = applied["metadata"], call.target
        name = meta.get("name")
        if name and name != target.name:
            raise bad_request(
                f"the name of the object ({name}) does not match the name on the "
                f"URL ({target.name})"
            )
        namespace = meta.get("namespace")
        if namespace and namespace != target.namespace:
            raise bad_request(
                "the namespace of the provided object does not match the namespace "
                "sent on the request"
            )

    def _untyped(self, kind: Kind, applied: Object, error: structured.Mismatch) -> StatusError:
        meta = applied["metadata"]
        name = f"{meta.get('namespace', '')}/{meta.get('name', '')}"
        text = (
            "errors:\n" + "\n".join(f"  {e}" for e in error.errors)
            if len(error.errors) > 1
            else error.errors[0]
        )
        group = f"{kind.group}/{kind.version}" if kind.group else f"/{kind.version}"
        return plain_failure(
            f"failed to create typed patch object ({name}; {group}, Kind={kind.kind}): {text}"
        )

    def _decode_applied(
        self, kind: Kind, merged: Object, applied: Object, options: WriteOptions
    ) -> Object:
        if kind.custom:
            from kaito.local.apiserver.custom.bodies import clean_custom

            obj, _, fault = clean_custom(merged, kind)
            if fault:
                raise bad_request(fault)
            return obj
        try:
            obj = typed.decode(kind.node, merged).value
        except typed.WrongType as error:
            raise plain_failure(f"failed to convert new object: {error}") from error
        kind.behaviour.default(obj)
        return obj


META_ORDER = (
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
)
ENTRY_ORDER = (
    "manager",
    "operation",
    "apiVersion",
    "time",
    "fieldsType",
    "fieldsV1",
    "subresource",
)


def printed_order(obj: Any, live: Any, *, custom: bool = False) -> Any:
    """An object with its keys in the order in which the server prints a patched one.

    Maps that the patch touched are sorted; the others keep the order of the stored object.
    """
    if not isinstance(obj, dict):
        return obj
    if custom:
        return _sorted(obj)
    before = live if isinstance(live, dict) else {}
    out = {k: _part(obj[k], before.get(k)) for k in sorted(obj)}
    meta = obj.get("metadata")
    if isinstance(meta, dict) and meta == before.get("metadata"):
        out["metadata"] = _metadata(meta)
    return out


def _part(value: Any, live: Any) -> Any:
    if value == live or not isinstance(value, dict):
        return value
    before = live if isinstance(live, dict) else {}
    return {k: _part(value[k], before.get(k)) for k in sorted(value)}


def _metadata(meta: Object) -> Object:
    ordered = {k: meta[k] for k in META_ORDER if k in meta}
    ordered.update({k: v for k, v in meta.items() if k not in ordered})
    entries = ordered.get("managedFields")
    if isinstance(entries, list):
        ordered["managedFields"] = [
            {k: _sorted(e[k]) for k in ENTRY_ORDER if k in e} if isinstance(e, dict) else e
            for e in entries
        ]
    return ordered


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _sorted(v) for k, v in sorted(value.items())}
    if isinstance(value, list):
        return [_sorted(v) for v in value]
    return value
