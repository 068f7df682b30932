"""What annotations of a Workspace may say, and which of them do nothing. Pure.

Those that decide something are refused when they say nothing that is understood; the others are
only told of, for upstream KAITO lets them pass.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from kaito.api import conditions, labels
from kaito.api.patterns import NAME, matches
from kaito.api.wishes import ANY_PRICE, DISK_TYPES, GPU_DRIVERS, IMAGE_FAMILIES, spot_price
from kaito.api.words import listed, shown
from kaito.controllers.workspace.alternatives import MOST, alternatives
from kaito.controllers.workspace.refusal import Advice, Refusal
from kaito.controllers.workspace.runtimes import RUNTIMES
from kaito.controllers.workspace.settings import Settings

PREFIX = "kaito.sh/"  # of every annotation that is ours
SWITCH = ("true", "false")
OWN_NAMESPACE = "namespace"

# What annotations may say, compared without regard to case.
DECIDING: Mapping[str, Sequence[str]] = {
    labels.NODE_IMAGE_FAMILY: tuple(IMAGE_FAMILIES),
    labels.GPU_DRIVER: tuple(GPU_DRIVERS),
    labels.OS_DISK_TYPE: tuple(DISK_TYPES),
    labels.RUNTIME: RUNTIMES,
    labels.PERFORMANCE_MODE: ("balanced", "interactivity", "throughput"),
    labels.USE_LOCAL_WEIGHTS: SWITCH,
    labels.KEEP_NODES: SWITCH,
    labels.NETWORK_POLICY: (OWN_NAMESPACE,),
}
MEANT: Mapping[str, Sequence[str]] = {
    labels.ENABLE_LOAD_BALANCER: SWITCH,
    labels.DISABLE_BENCHMARK: SWITCH,
    labels.MODEL_STREAMING: ("disabled",),
}
IDLE = (
    labels.DISABLE_BENCHMARK,
    labels.MODEL_STREAMING,
    labels.MODEL_MIRROR_STORAGE_CLASS,
    labels.STREAMING_SERVICE_ACCOUNT,
)
FOR_USERS = (
    *dict.fromkeys([*DECIDING, *MEANT, *IDLE]),
    labels.BYPASS_RESOURCE_CHECKS,
    labels.NODE_CLASS_NAME,
    labels.INSTANCE_TYPES,
    labels.API_KEY_SECRET,
    labels.PROGRESS_DEADLINE,
)
KNOWN = (*FOR_USERS, labels.UPGRADE_START_TIME)
DEADLINE_MOST = 86_400  # seconds; a day
UNKNOWN_TOLD = 5  # how many that are not known are told of
LIKENESS = 0.3  # difflib's; a key that starts like ours is meant to be one of ours


def ours(annotations: Mapping[str, object]) -> dict[str, object]:
    """Those of a Workspace's annotations that are about KAITO."""
    return {key: value for key, value in annotations.items() if key.startswith(PREFIX)}


def seconds_of(deadline: str) -> int | None:
    """The seconds that a progress deadline means, None for what is none."""
    digits = deadline.isascii() and deadline.isdecimal() and len(deadline) <= 6
    return int(deadline) if digits and 1 <= int(deadline) <= DEADLINE_MOST else None


def annotation_objections(annotations: Mapping[str, str], settings: Settings) -> Iterator[Refusal]:
    """Every annotation that decides something and cannot be understood."""
    for key, accepted in DECIDING.items():
        value = annotations.get(key, "")
        if value and value.lower() not in accepted:
            yield _refusal(key, f"is {shown(value)}: write {listed(accepted, 'or')}, or remove it.")
    secret = annotations.get(labels.API_KEY_SECRET)
    if secret is not None and not matches(NAME, secret):
        yield _refusal(
            labels.API_KEY_SECRET,
            f"is {shown(secret)}, which is no name of a Secret: create one with the key under "
            "API_KEY in this namespace and name it there, or remove the annotation.",
        )
    deadline = annotations.get(labels.PROGRESS_DEADLINE)
    if deadline is not None and seconds_of(deadline) is None:
        yield _refusal(
            labels.PROGRESS_DEADLINE,
            f"is {shown(deadline)}: write whole seconds, 1 to {DEADLINE_MOST}, or remove it.",
        )
    try:
        spot_price(annotations.get(labels.SPOT_MAX_PRICE) or ANY_PRICE)
    except ValueError as error:
        yield _refusal(labels.SPOT_MAX_PRICE, f"{error}.")
    named = annotations.get(labels.NODE_CLASS_NAME, "")
    if named and not takes_node_class(settings):
        yield _refusal(
            labels.NODE_CLASS_NAME,
            f"is {shown(named)}, and node classes are Karpenter's, which does not bring up the "
            "nodes here: remove it.",
        )
    elif named and not matches(NAME, named):
        yield _refusal(
            labels.NODE_CLASS_NAME,
            f"is {shown(named)}, which is no name of an object: write the name of a node class.",
        )
    yield from _alternatives(annotations)


def takes_node_class(settings: Settings) -> bool:
    """Whether another provisioner than KAITO's brings up the nodes, by a class of its own."""
    if settings.node_request == "nodeclaim":
        return settings.node_class is not None
    return settings.node_request == "nodepool"


def _alternatives(annotations: Mapping[str, str]) -> Iterator[Refusal]:
    """What is wrong with the list of sizes, whatever sizes there are."""
    listed_sizes = alternatives(annotations)
    if "" in listed_sizes:
        yield _refusal(
            labels.INSTANCE_TYPES,
            "has an empty place: write sizes with a comma between each two.",
        )
    twice = [size for size, n in Counter(s.lower() for s in listed_sizes if s).items() if n > 1]
    if twice:
        spelt = next(size for size in listed_sizes if size.lower() == twice[0])
        yield _refusal(
            labels.INSTANCE_TYPES, f"names {shown(spelt)} more than once: leave one of them."
        )
    if len(listed_sizes) > MOST:
        yield _refusal(
            labels.INSTANCE_TYPES,
            f"names {len(listed_sizes)} sizes, and {MOST} at most are tried: leave the best.",
        )


def annotation_advice(annotations: Mapping[str, str]) -> Iterator[Advice]:
    """What annotations say in vain."""
    for key, accepted in MEANT.items():
        value = annotations.get(key, "")
        if value and value.lower() not in accepted:
            yield Advice(
                reason=conditions.ANNOTATION_NOT_UNDERSTOOD,
                message=f"Annotation {key} is {shown(value)}, which means nothing: write "
                f"{listed(accepted, 'or')}.",
            )
    balanced = annotations.get(labels.ENABLE_LOAD_BALANCER, "").lower() == "true"
    if balanced and annotations.get(labels.NETWORK_POLICY):
        yield Advice(
            reason=conditions.ANNOTATION_WITHOUT_EFFECT,
            message=f"Annotation {labels.NETWORK_POLICY} keeps out what comes through the load "
            f"balancer that {labels.ENABLE_LOAD_BALANCER} asks for: remove one of them.",
        )
    for key in IDLE:
        if key in annotations:
            yield Advice(
                reason=conditions.ANNOTATION_WITHOUT_EFFECT,
                message=f"Annotation {key} has no effect in this release.",
            )
    unknown = (key for key in ours(annotations) if key not in KNOWN)
    for key in islice(unknown, UNKNOWN_TOLD):
        nearest = difflib.get_close_matches(key, FOR_USERS, n=1, cutoff=LIKENESS)
        meant = f"; the nearest that it knows is {nearest[0]}" if nearest else ""
        yield Advice(
            reason=conditions.ANNOTATION_NOT_UNDERSTOOD,
            message=f"Annotation {shown(key)} is none that KAITO knows{meant}.",
        )


def _refusal(key: str, what: str) -> Refusal:
    return Refusal(
        path=f"metadata.annotations[{key}]",
        reason=conditions.INVALID_SPEC,
        message=f"Annotation {key} {what}",
    )
