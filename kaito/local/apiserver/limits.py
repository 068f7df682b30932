"""Limit ranges at work: what they fill into pods, and which pods and claims they refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kaito.local.apiserver import quantity
from kaito.local.apiserver.admission import Review
from kaito.local.apiserver.behaviours.pod_defaults import default_totals
from kaito.local.apiserver.behaviours.podspec.totals import asked, supported
from kaito.local.apiserver.core import Core
from kaito.local.apiserver.status import forbidden

Object = dict[str, Any]
Amounts = dict[str, str]
NOTE = "kubernetes.io/limit-ranger"
PARTS = (("containers", "container"), ("initContainers", "init container"))


class LimitRanges:
    """Keeps pods and claims within the limit ranges of their namespace."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def _ranges(self, review: Review) -> Iterator[Object]:
        """The limits that concern a write."""
        kind = review.call.kind
        pods = kind.plural == "pods" and not kind.group
        created = review.operation == "CREATE" and not review.subresource
        if not (pods and (created or review.subresource == "resize")) and not (
            kind.plural == "persistentvolumeclaims" and not review.subresource
        ):
            return
        if review.old is not None and review.old["metadata"].get("deletionTimestamp"):
            return
        ranges = self._core.kinds.get("", "v1", "limitranges")
        assert ranges is not None
        bucket = self._core.store.buckets.get(ranges.bucket)
        if bucket is None:
            return
        for key in bucket.keys(f"{review.call.target.namespace}/"):
            spec = ranges.value(bucket.objects[key]).get("spec") or {}
            yield from spec.get("limits") or ()

    async def mutate(self, review: Review) -> None:
        for limit in self._ranges(review):
            if review.call.kind.plural == "pods" and limit.get("type") == "Container":
                fill(review.object, limit.get("default") or {}, limit.get("defaultRequest") or {})
                if review.object["spec"].get("resources"):
                    default_totals(review.object["spec"])

    async def validate(self, review: Review) -> None:
        kind, faults = review.call.kind, []
        for limit in self._ranges(review):
            for requests, limits in _measured(review.object, kind.plural, limit.get("type", "")):
                faults += list(check(limit, requests, limits))
        faults = list(dict.fromkeys(faults))
        if faults:
            says = faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]"
            raise forbidden(kind.group, kind.plural, review.object["metadata"]["name"], says)


def fill(pod: Object, limits: Amounts, requests: Amounts) -> None:
    """Give containers the amounts that they do not name, and note that."""
    notes: list[str] = []
    for part, shown in PARTS:
        for container in (pod.get("spec") or {}).get(part) or ():
            resources = container.setdefault("resources", {})
            for table, given, word in (
                ("requests", requests, "request"),
                ("limits", limits, "limit"),
            ):
                own = resources.get(table) or {}
                added = sorted(set(given) - set(own))
                if added:
                    resources[table] = {**own, **{name: given[name] for name in added}}
                    notes.append(f"{', '.join(added)} {word} for {shown} {container['name']}")
    if notes:
        annotations = pod["metadata"].get("annotations") or {}
        note = f"LimitRanger plugin set: {'; '.join(notes)}"
        pod["metadata"]["annotations"] = {**annotations, NOTE: note}


def _measured(obj: Object, plural: str, kind: str) -> Iterator[tuple[Amounts, Amounts]]:
    """The requests and limits that limits of a type are about."""
    spec = obj.get("spec") or {}
    if plural != "pods":
        if kind == "PersistentVolumeClaim":
            yield (spec.get("resources") or {}).get("requests") or {}, {}
    elif kind == "Container":
        for part, _ in PARTS:
            for container in spec.get(part) or ():
                resources = container.get("resources") or {}
                yield resources.get("requests") or {}, resources.get("limits") or {}
    elif kind == "Pod":
        yield _whole(spec, "requests"), _whole(spec, "limits")


def _whole(spec: Object, part: str) -> Amounts:
    own = (spec.get("resources") or {}).get(part) or {}
    return {**asked(spec, part), **{n: text for n, text in own.items() if supported(n)}}


def check(limit: Object, requests: Amounts, limits: Amounts) -> Iterator[str]:
    """What a limit says of amounts, in words."""
    kind = limit.get("type", "")
    rules: tuple[tuple[str, Callable[[str, str, str | None, str | None], str]], ...] = (
        ("min", _least),
        ("max", _claimed if kind == "PersistentVolumeClaim" else _most),
        ("maxLimitRequestRatio", _ratio),
    )
    for part, rule in rules:
        for name, bound in sorted((limit.get(part) or {}).items()):
            if kind == "PersistentVolumeClaim" and rule is _ratio:
                continue
            fault = rule(f"{name}:{kind}", bound, requests.get(name), limits.get(name))
            if fault:
                yield fault


def _said(what: str, usage: str, bound: str, but: str) -> str:
    name, _, kind = what.rpartition(":")
    return f"{usage} {name} usage per {kind} is {bound}{but}"


def _least(what: str, bound: str, request: str | None, limit: str | None) -> str:
    if request is None:
        return _said(what, "minimum", bound, ".  No request is specified")
    for word, amount in (("request", request), ("limit", limit)):
        if amount is not None and quantity.value(amount) < quantity.value(bound):
            return _said(what, "minimum", bound, f", but {word} is {amount}")
    return ""


def _most(what: str, bound: str, request: str | None, limit: str | None) -> str:
    if limit is None:
        return _said(what, "maximum", bound, ".  No limit is specified")
    for word, amount in (("limit", limit), ("request", request)):
        if amount is not None and quantity.value(amount) > quantity.value(bound):
            return _said(what, "maximum", bound, f", but {word} is {amount}")
    return ""


def _claimed(what: str, bound: str, request: str | None, limit: str | None) -> str:
    if request is None:
        return _said(what, "maximum", bound, ".  No request is specified")
    if quantity.value(request) > quantity.value(bound):
        return _said(what, "maximum", bound, f", but request is {request}")
    return ""


def _ratio(what: str, bound: str, request: str | None, limit: str | None) -> str:
    name, _, kind = what.rpartition(":")
    start = f"{name} max limit to request ratio per {kind} is {bound}, but"
    if request is None or not quantity.value(request):
        return f"{start} no request is specified or request is 0"
    if limit is None or not quantity.value(limit):
        return f"{start} no limit is specified or limit is 0"
    found = quantity.value(limit) / quantity.value(request)
    return f"{start} provided ratio is {found:.6f}" if found > quantity.value(bound) else ""
