"""An Event in the two forms in which API servers take it.

events.k8s.io/v1 counts repetitions as a series; core/v1 is the older form with a count of its
own. The server shows what is written in one form in the other as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from kaito.runtime.clock import rfc3339, rfc3339_micro
from kaito.runtime.correlator import Occurrence
from kaito.runtime.resource import Key, Object, Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An occurrence as it is told: under which name, by whom, when first (since the epoch)."""

    occurrence: Occurrence
    key: Key
    component: str
    instance: str
    at: float


class Form(Protocol):
    """How one API group writes an Event."""

    resource: Resource[Object]

    def first(self, told: Told) -> Object:
        """The Event when it is created."""

    def repeated(self, count: int, at: float) -> Object:
        """The merge patch that says it has happened `count` times, last at `at`."""


class NewerForm:
    """events.k8s.io/v1."""

    resource: Resource[Object] = Resource("events.k8s.io", "v1", "events", "Event")

    def first(self, told: Told) -> Object:
        occurrence = told.occurrence
        event: Object = {
            "apiVersion": self.resource.api_version,
            "kind": self.resource.kind,
            "metadata": {"namespace": told.key.namespace, "name": told.key.name},
            "eventTime": rfc3339_micro(told.at),
            "reportingController": told.component,
            "reportingInstance": told.instance,
            "regarding": dict(occurrence.regarding),
            "type": occurrence.type,
            "reason": occurrence.reason,
            "action": occurrence.action,
            "note": occurrence.message,
        }
        return _with_related(event, occurrence)

    def repeated(self, count: int, at: float) -> Object:
        return {"series": {"count": count, "lastObservedTime": rfc3339_micro(at)}}


class CoreForm:
    """core/v1, for servers without the other group and for those who may write only this one."""

    resource: Resource[Object] = Resource("", "v1", "events", "Event")

    def first(self, told: Told) -> Object:
        occurrence = told.occurrence
        event: Object = {
            "apiVersion": self.resource.api_version,
            "kind": self.resource.kind,
            "metadata": {"namespace": told.key.namespace, "name": told.key.name},
            "involvedObject": dict(occurrence.regarding),
            "type": occurrence.type,
            "reason": occurrence.reason,
            "message": occurrence.message,
            "source": {"component": told.component},
            "reportingComponent": told.component,
            "reportingInstance": told.instance,
            "firstTimestamp": rfc3339(told.at),
            "lastTimestamp": rfc3339(told.at),
            "count": 1,
        }
        return _with_related(event, occurrence)

    def repeated(self, count: int, at: float) -> Object:
        return {"count": count, "lastTimestamp": rfc3339(at)}


def _with_related(event: Object, occurrence: Occurrence) -> Object:
    if occurrence.related:
        event["related"] = dict(occurrence.related)
    return event


NEWER, CORE = NewerForm(), CoreForm()
