"""The kinds a server knows: where each is served, its shape, its hooks, where it is stored."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Protocol

from kaito.local.apiserver.behaviour import Behaviour
from kaito.local.apiserver.conversions import SHAPES
from kaito.local.apiserver.facts import settled
from kaito.local.apiserver.jsontext import encode, encode_sorted
from kaito.local.apiserver.schema import Node, TypeTable
from kaito.local.apiserver.storage import Record
from kaito.local.apiserver.tables import Columns
from kaito.local.apiserver.typed import go_name, hollow

Object = dict[str, Any]
SHORT = {
    "configmaps": "cm",
    "endpoints": "ep",
    "events": "ev",
    "limitranges": "limits",
    "namespaces": "ns",
    "nodes": "no",
    "persistentvolumeclaims": "pvc",
    "persistentvolumes": "pv",
    "pods": "po",
    "replicationcontrollers": "rc",
    "resourcequotas": "quota",
    "serviceaccounts": "sa",
    "services": "svc",
    "componentstatuses": "cs",
    "customresourcedefinitions": "crd crds",
    "daemonsets": "ds",
    "deployments": "deploy",
    "replicasets": "rs",
    "statefulsets": "sts",
    "horizontalpodautoscalers": "hpa",
    "cronjobs": "cj",
    "certificatesigningrequests": "csr",
    "ingresses": "ing",
    "networkpolicies": "netpol",
    "poddisruptionbudgets": "pdb",
    "priorityclasses": "pc",
    "storageclasses": "sc",
    "ipaddresses": "ip",
    "volumeattributesclasses": "vac",
}
ALL = {
    "pods",
    "replicationcontrollers",
    "services",
    "daemonsets",
    "deployments",
    "replicasets",
    "statefulsets",
    "horizontalpodautoscalers",
    "cronjobs",
    "jobs",
}
SINGULAR = {"endpoints": "endpoints", "componentstatuses": "componentstatus"}
STORED_ELSEWHERE = {
    ("events.k8s.io", "Event"): "/v1/Event",
    ("autoscaling", "HorizontalPodAutoscaler"): "autoscaling/v2/HorizontalPodAutoscaler",
    (
        "admissionregistration.k8s.io",
        "MutatingAdmissionPolicy",
    ): "admissionregistration.k8s.io/v1beta1/MutatingAdmissionPolicy",
    (
        "admissionregistration.k8s.io",
        "MutatingAdmissionPolicyBinding",
    ): "admissionregistration.k8s.io/v1beta1/MutatingAdmissionPolicyBinding",
    (
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
    ): "apiextensions.k8s.io/v1beta1/CustomResourceDefinition",
}
SHARED = {
    ("events.k8s.io", "events"): "/events",
    ("autoscaling", "horizontalpodautoscalers"): "autoscaling/horizontalpodautoscalers",
}


class Shape(Protocol):
    """How a version shows stored objects and how its own are stored; most built-ins have none."""

    epoch: int

    def read(self, obj: Object) -> Object: ...

    def write(self, obj: Object) -> Object: ...


DEPRECATED = {
    ("", "v1", "componentstatuses"): "v1 ComponentStatus is deprecated in v1.19+",
    ("", "v1", "endpoints"): (
        "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
    ),
}


@dataclass(slots=True)
class Subresource:
    verbs: tuple[str, ...]
    kind: str
    group: str = ""
    version: str = ""


@dataclass(slots=True)
class Kind:
    """One resource in one served version; `siblings` are the shapes of all versions of its
    definition, served or not.
    """

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    list_kind: str
    namespaced: bool
    verbs: tuple[str, ...]
    node: Node
    behaviour: Behaviour
    bucket: str
    columns: Columns
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: dict[str, Subresource] = field(default_factory=dict)
    shape: Shape | None = None
    definition: str = ""
    model: str = ""
    prefix: bytes = b""
    reviewed: bool = False
    deprecation: str = ""
    encode: Callable[[object], bytes] = encode
    siblings: Mapping[str, Node] = field(default_factory=dict)

    def __post_init__(self) -> None:
        named = {"kind": self.kind, "apiVersion": self.api_version}
        self.encode = encode_sorted if self.custom else encode
        self.prefix = self.encode(named)[:-1] + b","

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def error_group(self) -> str:
        """The group that validation errors name: events are core objects in both groups."""
        return self.group if self.bucket != "/events" else ""

    @property
    def custom(self) -> bool:
        return bool(self.definition)

    def key(self, namespace: str, name: str) -> str:
        return f"{namespace}/{name}" if self.namespaced else name

    def bare(self, record: Record) -> bytes:
        """The object's JSON in this version without kind and apiVersion."""
        shape = self.shape
        if shape is None:
            return record.raw
        mark = (self.version, shape.epoch)
        if record.cache is None:
            record.cache = {}
        found = record.cache.get(mark)
        if found is None:
            found = record.cache[mark] = self.encode(shape.read(record.value()))
        return found

    def json(self, record: Record) -> bytes:
        """The whole object's JSON in this version."""
        return self.prefix + self.bare(record)[1:]

    def item(self, record: Record) -> bytes:
        """The object's JSON as a member of a list: only custom resources name their kind there."""
        return self.json(record) if self.custom else self.bare(record)

    def value(self, record: Record) -> Object:
        """A fresh decoded copy in this version."""
        obj = record.value()
        if self.shape is not None:
            obj = self.shape.read(obj)
        return {"kind": self.kind, "apiVersion": self.api_version, **obj}

    def stored(self, obj: Object) -> Object:
        """What is kept of an object, which is made like it."""
        self.hollow(obj)
        bare = {k: v for k, v in obj.items() if k not in {"apiVersion", "kind"}}
        return bare if self.shape is None else self.shape.write(bare)

    def kept(self, obj: Object) -> Object:
        """An object as it is read back once it was stored; its parts may be shared."""
        self.hollow(obj)
        if self.shape is None:
            return obj
        shown = self.shape.read(self.shape.write({**obj}))
        return {**shown, "kind": self.kind, "apiVersion": self.api_version}

    def hollow(self, obj: Object) -> None:
        """Make empty lists null where storing does; definitions are stored as they are sent."""
        if self.model and self.group != "apiextensions.k8s.io":
            hollow(self.node, obj)

    def storage_hash(self) -> str:
        text = STORED_ELSEWHERE.get(
            (self.group, self.kind), f"{self.group}/{self.version}/{self.kind}"
        )
        return base64.b64encode(hashlib.sha256(text.encode()).digest()[:8]).decode()


class Kinds:
    """Every served kind by group, version and plural."""

    def __init__(
        self,
        types: TypeTable,
        behaviours: Mapping[tuple[str, str], Behaviour],
        columns: Mapping[tuple[str, str], Columns],
    ) -> None:
        self.types = types
        self._kinds: dict[tuple[str, str, str], Kind] = {}
        self.generation = 0
        text = resources.files("kaito.local.apiserver").joinpath("data/kinds.json").read_bytes()
        for entry in json.loads(text):
            self._load(entry, behaviours, columns)

    def _load(
        self,
        entry: dict[str, Any],
        behaviours: Mapping[tuple[str, str], Behaviour],
        columns: Mapping[tuple[str, str], Columns],
    ) -> None:
        group, version, plural = entry["group"], entry["version"], entry["plural"]
        kind = go_name(entry["model"])
        verbs = tuple(entry["verbs"])
        behaviour = settled(plural, behaviours.get((group, plural), Behaviour()))
        found = Kind(
            group=group,
            version=version,
            plural=plural,
            singular=SINGULAR.get(plural, kind.lower()),
            kind=kind,
            list_kind=kind + "List",
            namespaced=entry["namespaced"],
            verbs=verbs,
            node=self.types.node(entry["model"]),
            behaviour=behaviour,
            bucket=SHARED.get((group, plural), f"{group}/{plural}"),
            columns=columns.get((group, plural), Columns.standard()),
            short_names=tuple(SHORT.get(plural, "").split()),
            categories=("all",)
            if plural in ALL
            else ("api-extensions",)
            if group in {"apiextensions.k8s.io", "admissionregistration.k8s.io"}
            else (),
            model=entry["model"],
            reviewed="get" not in verbs,
            shape=SHAPES.get((group, plural)),
            deprecation=DEPRECATED.get((group, version, plural), ""),
        )
        for name, sub in entry["subresources"].items():
            found.subresources[name] = _subresource(name, sub, kind)
        self._kinds[group, version, plural] = found

    def add(self, kind: Kind) -> None:
        self._kinds[kind.group, kind.version, kind.plural] = kind
        self.generation += 1

    def remove(self, kind: Kind) -> None:
        self._kinds.pop((kind.group, kind.version, kind.plural), None)
        self.generation += 1

    def get(self, group: str, version: str, plural: str) -> Kind | None:
        return self._kinds.get((group, version, plural))

    def by_kind(self, api_version: str, kind: str) -> Kind | None:
        for found in self._kinds.values():
            if found.kind == kind and found.api_version == api_version:
                return found
        return None

    def groups(self) -> dict[str, list[str]]:
        """Served groups in the order of discovery, each with its versions, best first."""
        found: dict[str, list[str]] = {}
        for group, version, _ in self._kinds:
            versions = found.setdefault(group, [])
            if version not in versions:
                versions.append(version)
        for versions in found.values():
            versions.sort(key=version_rank)
        return found

    def of(self, group: str, version: str) -> list[Kind]:
        return [k for k in self._kinds.values() if (k.group, k.version) == (group, version)]

    def __iter__(self) -> Iterator[Kind]:
        return iter(list(self._kinds.values()))


def _subresource(name: str, sub: dict[str, Any], kind: str) -> Subresource:
    foreign = {
        "scale": ("Scale", "autoscaling", "v1"),
        "eviction": ("Eviction", "policy", "v1"),
        "token": ("TokenRequest", "authentication.k8s.io", "v1"),
        "binding": ("Binding", "", ""),
        "attach": ("PodAttachOptions", "", ""),
        "exec": ("PodExecOptions", "", ""),
        "portforward": ("PodPortForwardOptions", "", ""),
        "proxy": (f"{kind}ProxyOptions", "", ""),
    }
    found = foreign.get(name, (kind, "", ""))
    return Subresource(tuple(sub["verbs"]), *found)


def version_rank(version: str) -> tuple[int, int, int, str]:
    """Sort key: v2, v1, v1beta2, v1beta1, v1alpha1, then the rest by name."""
    import re

    found = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if not found:
        return (3, 0, 0, version)
    stage = {"": 0, "beta": 1, "alpha": 2}[found[2] or ""]
    return (stage, -int(found[1]), -int(found[3] or 0), "")
