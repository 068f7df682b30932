"""PATCH requests: which patch, over which object, under which manager."""

from __future__ import annotations

import json
from typing import Any

from kaito.local.apiserver import bodies, patches, typed
from kaito.local.apiserver.applying import Applier
from kaito.local.apiserver.core import Call, Core
from kaito.local.apiserver.creates import Creator
from kaito.local.apiserver.fields import wrong
from kaito.local.apiserver.jsontext import repeated_keys
from kaito.local.apiserver.kinds import Kind
from kaito.local.apiserver.options import WriteOptions, write_options
from kaito.local.apiserver.scalars import json_kind
from kaito.local.apiserver.status import (
    StatusError,
    invalid,
)
from kaito.local.apiserver.updates import Updater

Object = dict[str, Any]


class Patcher:
    """Patches objects of any kind."""

    def __init__(self, core: Core, updater: Updater, creator: Creator) -> None:
        self._core = core
        self._updater = updater
        self._applier = Applier(core, updater, creator)

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
            obj, created = await self._applier.apply(call, options, subresource)
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
                f"json: cannot unmarshal {json_kind(patched)} into Go value of type v1.{kind.kind}"
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
