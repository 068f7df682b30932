"""A controller library: informers, a work queue, controllers, a manager, leader election.

    async def main() -> None:
        config = await load()
        async with Client(config.transport(), field_manager="labeler") as client:
            manager = Manager(client, name="labeler")
            pods = manager.informer(Resource("", "v1", "pods", "Pod"))
            manager.add(Controller("labeler", reconcile, primary=watch(pods)))
            await manager.run()

What it guarantees: a reconcile is given a key, never an event; one key is worked on by one worker
at a time; the cache notices deletions across gaps and hands out copies; a reconcile sees what its
last run wrote; a process that cannot watch, or no longer leads, ends. It knows nothing of KAITO.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from kaito.runtime.frontdoor import homes

# Whoever wants a Key should not wait for an HTTP client: a module is loaded when one of its names
# is first asked for.
if TYPE_CHECKING:
    from kaito.runtime.admission import Denied, Review
    from kaito.runtime.apply import Applier
    from kaito.runtime.backoff import Backoff, RetryRate
    from kaito.runtime.cache import Transform
    from kaito.runtime.certificate import Certificate, ServedCertificate
    from kaito.runtime.change import Change, Handler
    from kaito.runtime.client import Client, FieldValidation, Listing
    from kaito.runtime.clock import (
        Clock,
        SystemClock,
        Timer,
        parse_rfc3339,
        rfc3339,
        rfc3339_micro,
    )
    from kaito.runtime.comparison import owns, would_change
    from kaito.runtime.conditions import (
        Truth,
        find_condition,
        is_true,
        remove_condition,
        set_condition,
    )
    from kaito.runtime.config import ClusterConfig, from_kubeconfig, in_cluster, load
    from kaito.runtime.controller import Controller, Mapper, Predicate, Watch, watch
    from kaito.runtime.correlation import reconcile_id
    from kaito.runtime.errors import (
        AlreadyExists,
        ApiError,
        BadRequest,
        CallTimedOut,
        Cause,
        Conflict,
        ConnectionFailed,
        Expired,
        Forbidden,
        Invalid,
        NotFound,
        OversizedLine,
        RuntimeFailure,
        ServerError,
        Status,
        TooManyRequests,
        Unauthorized,
        UnreadableAnswer,
        api_error,
    )
    from kaito.runtime.events import EventRecorder
    from kaito.runtime.exits import ExitCode
    from kaito.runtime.finalizers import adding_finalizer, removing_finalizer
    from kaito.runtime.http import HttpTransport
    from kaito.runtime.informer import Informer, Scope
    from kaito.runtime.kubeconfig import ConfigError
    from kaito.runtime.lease import Leadership, LeaseLost, LeaseSettings
    from kaito.runtime.manager import Manager, SyncTimeout
    from kaito.runtime.metadata import Metadata, Owner, PartialObject
    from kaito.runtime.metrics import Metrics
    from kaito.runtime.names import fitting_name
    from kaito.runtime.owners import owner_reference
    from kaito.runtime.predicates import (
        all_of,
        annotations_changed,
        any_of,
        finalizers_changed,
        generation_changed,
        labels_changed,
    )
    from kaito.runtime.process import exit_code, run_process
    from kaito.runtime.quantity import format_quantity, parse_quantity
    from kaito.runtime.queue import QueueClosed, WorkQueue
    from kaito.runtime.reflector import Fill
    from kaito.runtime.resource import Key, Object, Resource
    from kaito.runtime.serving import Address, CannotListen, Check, Checks, Site
    from kaito.runtime.store import Index, Store, View
    from kaito.runtime.tenure import UnfinishedWork
    from kaito.runtime.tls import Tls
    from kaito.runtime.transforms import dropping
    from kaito.runtime.transport import Call, Reply, Transport
    from kaito.runtime.verdict import Again, Reconcile, Terminal
    from kaito.runtime.webhooks import Mutate, Validate, Webhooks
    from kaito.runtime.wire import Header

__all__ = [
    "Address",
    "Again",
    "AlreadyExists",
    "ApiError",
    "Applier",
    "Backoff",
    "BadRequest",
    "Call",
    "CallTimedOut",
    "CannotListen",
    "Cause",
    "Certificate",
    "Change",
    "Check",
    "Checks",
    "Client",
    "Clock",
    "ClusterConfig",
    "ConfigError",
    "Conflict",
    "ConnectionFailed",
    "Controller",
    "Denied",
    "EventRecorder",
    "ExitCode",
    "Expired",
    "FieldValidation",
    "Fill",
    "Forbidden",
    "Handler",
    "Header",
    "HttpTransport",
    "Index",
    "Informer",
    "Invalid",
    "Key",
    "Leadership",
    "LeaseLost",
    "LeaseSettings",
    "Listing",
    "Manager",
    "Mapper",
    "Metadata",
    "Metrics",
    "Mutate",
    "NotFound",
    "Object",
    "OversizedLine",
    "Owner",
    "PartialObject",
    "Predicate",
    "QueueClosed",
    "Reconcile",
    "Reply",
    "Resource",
    "RetryRate",
    "Review",
    "RuntimeFailure",
    "Scope",
    "ServedCertificate",
    "ServerError",
    "Site",
    "Status",
    "Store",
    "SyncTimeout",
    "SystemClock",
    "Terminal",
    "Timer",
    "Tls",
    "TooManyRequests",
    "Transform",
    "Transport",
    "Truth",
    "Unauthorized",
    "UnfinishedWork",
    "UnreadableAnswer",
    "Validate",
    "View",
    "Watch",
    "Webhooks",
    "WorkQueue",
    "adding_finalizer",
    "all_of",
    "annotations_changed",
    "any_of",
    "api_error",
    "dropping",
    "exit_code",
    "finalizers_changed",
    "find_condition",
    "fitting_name",
    "format_quantity",
    "from_kubeconfig",
    "generation_changed",
    "in_cluster",
    "is_true",
    "labels_changed",
    "load",
    "owner_reference",
    "owns",
    "parse_quantity",
    "parse_rfc3339",
    "reconcile_id",
    "remove_condition",
    "removing_finalizer",
    "rfc3339",
    "rfc3339_micro",
    "run_process",
    "set_condition",
    "watch",
    "would_change",
]


def __getattr__(name: str) -> object:
    home = homes(__name__).get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(home), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
