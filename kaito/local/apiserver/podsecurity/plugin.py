"""Pod security at work: pods that are refused, and what their users are told."""

from __future__ import annotations

from collections import Counter
from typing import Any

from kaito.local.apiserver.admission import Review
from kaito.local.apiserver.behaviours import HOLDERS
from kaito.local.apiserver.core import Core
from kaito.local.apiserver.podsecurity.levels import (
    PREFIX,
    Level,
    Policy,
    detail,
    findings,
    policy,
)
from kaito.local.apiserver.status import forbidden, invalid

Object = dict[str, Any]
JUDGED = {"", "ephemeralcontainers", "resize"}
PARTS = ("containers", "initContainers")
MOST_PODS = 3000


class PodSecurity:
    """Holds pods to the level that the labels of their namespace name."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def mutate(self, review: Review) -> None:
        """Nothing is changed."""

    async def validate(self, review: Review) -> None:
        if review.operation not in {"CREATE", "UPDATE"}:
            return
        kind = review.call.kind
        key = (kind.group, kind.plural)
        if key == ("", "namespaces") and not review.subresource:
            self._namespace(review)
        elif key == ("", "pods") and review.subresource in JUDGED:
            self._pod(review)
        elif key in HOLDERS and not review.subresource:
            template: Object = review.object
            for part in HOLDERS[key].split("."):
                template = template.get(part) or {}
            if template.get("spec"):
                self._warn(review, self._policy(review), template)

    def _policy(self, review: Review) -> Policy:
        namespaces = self._core.kinds.get("", "v1", "namespaces")
        assert namespaces is not None
        record = self._core.record(namespaces, "", review.call.target.namespace)
        return policy(_of_security(record.labels) if record is not None else {})

    def _pod(self, review: Review) -> None:
        if review.old is not None and not _new_images(review.object, review.old):
            return
        asked = self._policy(review)
        found = findings(asked.enforce, review.object["metadata"], review.object["spec"])
        if found:
            name = review.object["metadata"].get("name", "")
            says = f'violates PodSecurity "{asked.enforce}": {detail(found)}'
            raise forbidden("", "pods", name, says)
        self._warn(review, asked, review.object)

    @staticmethod
    def _warn(review: Review, asked: Policy, pod: Object) -> None:
        found = findings(asked.warn, pod.get("metadata") or {}, pod["spec"])
        if found:
            review.options.warn(f'would violate PodSecurity "{asked.warn}": {detail(found)}')

    def _namespace(self, review: Review) -> None:
        """Labels that name a level, and the pods that do not keep to it yet."""
        asked = policy(_labels(review.object))
        before = policy(_labels(review.old)) if review.old is not None else None
        name = review.object["metadata"]["name"]
        if asked.faults and (before is None or asked.faults != before.faults):
            raise invalid("", "Namespace", name, asked.faults)
        if before is None or asked.enforce == before.enforce:
            return
        stricter = asked.enforce.rank > before.enforce.rank
        if asked.enforce.rank and (stricter or asked.enforce.version != before.enforce.version):
            for text in self._complaints(name, asked.enforce):
                review.options.warn(text)

    def _complaints(self, namespace: str, level: Level) -> list[str]:
        pods = self._core.kinds.get("", "v1", "pods")
        assert pods is not None
        bucket = self._core.store.buckets.get(pods.bucket)
        keys = list(bucket.keys(f"{namespace}/")) if bucket is not None else []
        counts: Counter[str] = Counter()
        first: dict[str, str] = {}
        for key in keys[:MOST_PODS]:
            assert bucket is not None
            pod = pods.value(bucket.objects[key])
            found = findings(level, pod["metadata"], pod["spec"])
            if found:
                reasons = ", ".join(one.reason for one in found)
                counts[reasons] += 1
                name = pod["metadata"]["name"]
                first[reasons] = min(first.get(reasons, name), name)
        texts = []
        if len(keys) > MOST_PODS:
            texts.append(
                f"new PodSecurity enforce level only checked against the first {MOST_PODS} of "
                f"{len(keys)} existing pods"
            )
        if counts:
            texts.append(
                f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce '
                f'level "{level}"'
            )
        return texts + sorted(_who(first[reasons], counts[reasons], reasons) for reasons in counts)


def _who(name: str, count: int, reasons: str) -> str:
    others = count - 1
    more = f" (and {others} other pod{'s' if others > 1 else ''})" if others else ""
    return f"{name}{more}: {reasons}"


def _labels(thing: Object) -> dict[str, str]:
    return _of_security(thing["metadata"].get("labels") or {})


def _of_security(labels: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in labels.items() if key.startswith(PREFIX)}


def _new_images(new: Object, old: Object) -> bool:
    after, before = new["spec"], old["spec"]
    for part in PARTS:
        images = [container.get("image") for container in after.get(part) or ()]
        if images != [container.get("image") for container in before.get(part) or ()]:
            return True
    known = {c["name"]: c.get("image") for c in before.get("ephemeralContainers") or ()}
    return any(
        known.get(c["name"], ...) != c.get("image") for c in after.get("ephemeralContainers") or ()
    )
