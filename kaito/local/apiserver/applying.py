"""PATCH requests of server-side apply: the configuration, and the object that comes of it."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver import converting, typed
from kaito.local.apiserver.core import Call, Core
from kaito.local.apiserver.creates import Creator, check_place, ownership
from kaito.local.apiserver.jsontext import (
    TextError,
    may_repeat_keys,
    parse_json,
    whole_numbers,
)
from kaito.local.apiserver.kinds import Kind
from kaito.local.apiserver.options import WriteOptions
from kaito.local.apiserver.ownership.atoms import MemberError
from kaito.local.apiserver.ownership.checking import Mismatch
from kaito.local.apiserver.ownership.entries import Conflicts
from kaito.local.apiserver.ownership.managers import Unconvertible
from kaito.local.apiserver.scalars import json_kind
from kaito.local.apiserver.schema import Node
from kaito.local.apiserver.status import (
    StatusError,
    bad_request,
    conflict,
    not_found,
    plain_failure,
)
from kaito.local.apiserver.updates import Updater
from kaito.local.apiserver.yamltext import parse_yaml, repeated_yaml_keys

Object = dict[str, Any]


class Applier:
    """Applies configurations to objects of any kind, and creates what is missing."""

    def __init__(self, core: Core, updater: Updater, creator: Creator) -> None:
        self._core = core
        self._updater = updater
        self._creator = creator

    async def apply(
        self, call: Call, options: WriteOptions, subresource: str
    ) -> tuple[Object, bool]:
        """The stored object and whether it was created. Raises StatusError."""
        kind, core = call.kind, self._core
        record = core.record(kind, call.target.namespace, call.target.name)
        if record is None and subresource and not kind.behaviour.create_by_update:
            raise not_found(kind.group, kind.plural, call.target.name)
        applied = read_configuration(call, kind.api_version, kind.kind)
        rules = ownership(core.kinds, kind, subresource)

        def change(live: Object) -> Object:
            try:
                merged, changed = rules.apply(
                    live, applied, options.manager, force=options.force, now=core.stamp()
                )
            except Conflicts as conflicts:
                raise conflicts.status() from conflicts
            except Mismatch as error:
                raise untyped(kind.api_version, kind.kind, applied, error) from error
            except Unconvertible as error:
                raise plain_failure(str(error)) from error
            except MemberError as error:
                named = _named(applied, kind.api_version, kind.kind)
                raise plain_failure(
                    f"failed to create typed live object ({named}): {error}"
                ) from error
            check_repeats(call, options)
            return _completed(kind, merged, applied) if changed else merged

        if record is not None:
            return await self._updater.update(
                call, change, options, subresource=subresource, owned=True
            ), False
        obj = change({"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {}})
        meta = obj["metadata"]
        if meta.get("uid"):
            raise conflict(
                kind.group,
                kind.plural,
                call.target.name,
                f"uid mismatch: the provided object specified uid {meta['uid']}, "
                "and no existing object was found",
            )
        check_place(call, meta)
        if not options.dry_run:
            meta.pop("resourceVersion", None)
        return await self._creator.create(call, obj, options, applied=True), True


def read_configuration(call: Call, api_version: str, kind: str) -> Object:
    """The body of an apply, of this kind. Raises StatusError."""
    body = call.request.body
    try:
        applied = _parsed(body)
    except TextError as error:
        raise bad_request(f"error decoding YAML: error converting YAML to JSON: {error}") from error
    if applied is None:
        applied = {}
    if not isinstance(applied, dict):
        raise bad_request(
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: "
            f"json: cannot unmarshal {json_kind(applied)} into Go value "
            "of type map[string]interface {}"
        )
    version, name = (
        part if isinstance(part := applied.get(field), str) else ""
        for field in ("apiVersion", "kind")
    )
    if (version, name) != (api_version, kind):
        group, _, short = version.rpartition("/")
        raise bad_request(f"invalid object type: {group}/{short}, Kind={name}")
    if isinstance(metadata_of(applied).get("managedFields"), list):
        raise bad_request("metadata.managedFields must be nil")
    return applied


def _parsed(body: bytes) -> Any:
    """JSON where it is JSON, which is read faster, else YAML. Raises TextError."""
    if body.lstrip().startswith(b"{"):
        try:
            return whole_numbers(parse_json(body))
        except TextError:
            return parse_yaml(body)
    return parse_yaml(body)


def check_repeats(call: Call, options: WriteOptions) -> None:
    """Refuse or warn of keys that a body has twice, as fieldValidation says."""
    body = call.request.body
    if options.validation == "Ignore" or _is_tidy(body):
        return
    repeated = repeated_yaml_keys(body)
    if not repeated:
        return
    if options.validation == "Strict":
        lines = "\n  ".join(repeated)
        raise bad_request(
            "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n"
            f"  {lines}"
        )
    for line in repeated:
        options.warn(line)


def _is_tidy(body: bytes) -> bool:
    """Is this JSON without keys that may be there twice?"""
    if not body.lstrip().startswith(b"{"):
        return False
    try:
        return not may_repeat_keys(body, parse_json(body))
    except TextError:
        return False


def metadata_of(applied: Object) -> Object:
    """A configuration's metadata, if it has any."""
    found = applied.get("metadata")
    return found if isinstance(found, dict) else {}


def untyped(api_version: str, kind: str, applied: Object, error: Mismatch) -> StatusError:
    """The answer to a configuration that does not fit its schema."""
    return plain_failure(
        f"failed to create typed patch object ({_named(applied, api_version, kind)}): "
        + (
            "errors:\n" + "\n".join(f"  {e}" for e in error.errors)
            if len(error.errors) > 1
            else error.errors[0]
        )
    )


def _named(obj: Object, api_version: str, kind: str) -> str:
    meta = metadata_of(obj)
    group, _, version = api_version.rpartition("/")
    name = f"{meta.get('namespace') or ''}/{meta.get('name') or ''}"
    return f"{name}; {group}/{version}, Kind={kind}"


def _completed(kind: Kind, merged: Object, applied: Object) -> Object:
    """What an apply made, decoded and with defaults. Raises StatusError."""
    if kind.custom:
        from kaito.local.apiserver.custom.bodies import complete

        fault = complete(merged, kind)
        if fault:
            raise plain_failure(fault)
        return merged
    obj = completed(kind.node, kind.api_version, kind.kind, merged, applied)
    kind.behaviour.default(obj)
    return obj


def completed(node: Node, api_version: str, kind: str, merged: Object, applied: Object) -> Object:
    """What an apply made of a built-in kind, decoded. Raises StatusError."""
    try:
        return converting.convert(node, merged).value
    except typed.WrongType as error:
        named = _named(applied, api_version, kind)
        raise plain_failure(
            f"failed to convert new object ({named}) to proper version: unable to convert "
            f"unstructured object to {named.partition('; ')[2]}: {error}"
        ) from error
