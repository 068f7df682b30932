"""PATCH requests: which patch, over which object, under which manager."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kaito.local.apiserver import bodies, patches
from kaito.local.apiserver.applying import Applier
from kaito.local.apiserver.changes import Change, Target
from kaito.local.apiserver.core import Call, Core
from kaito.local.apiserver.creates import Creator
from kaito.local.apiserver.opaque import KeptText, compact
from kaito.local.apiserver.options import WriteOptions, write_options
from kaito.local.apiserver.updates import Updater

Object = dict[str, Any]


class Patcher:
    """Patches objects of any kind."""

    def __init__(self, core: Core, updater: Updater, creator: Creator) -> None:
        self._core = core
        self._updater = updater
        self._applier = Applier(core, updater, creator)

    async def patch(self, call: Call, subresource: str = "") -> tuple[Object, bool]:
        """The stored object and whether it was created."""
        kind = call.kind
        bodies.check_size(call.request)
        form = patches.PATCH_TYPES.get(bodies.media_type(call.request), "")
        if not form or form == "cbor" or (form == "strategic" and kind.custom):
            raise patches.unsupported(custom=kind.custom)
        options = write_options(call, "PatchOptions", apply=form == "apply", patch=True)
        if form == "apply":
            return await self._applier.apply(call, options, subresource)
        change = self._change(call, form, options)
        return await self._updater.update(call, change, options, subresource=subresource), False

    def _change(self, call: Call, form: str, options: WriteOptions) -> Callable[[Object], Object]:
        kind = call.kind
        change = Change(form, call.request.body, Target.of(kind), self._core.kinds, options)

        def patched(live: Object) -> Object:
            obj = change.apply(live)
            if isinstance(kind.shape, KeptText) and form != "strategic":
                obj[kind.shape.field] = compact(obj.get(kind.shape.field))
            if not kind.custom:
                kind.behaviour.default(obj)
            return obj

        return patched
