"""Rules that look at the pods already placed: affinity, anti-affinity, spreading over domains.

What a rule needs is gathered once for an attempt; then every Node is judged from it. Namespace
selectors other than the empty one, which means all, select nothing here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kaito.local.apiserver.selectors import of_label_selector

AFFINITY = "node(s) didn't match pod affinity rules"
ANTI_AFFINITY = "node(s) didn't match pod anti-affinity rules"
EXISTING = "node(s) didn't satisfy existing pods anti-affinity rules"
SPREAD = "node(s) didn't match pod topology spread constraints"
NO_DOMAIN = f"{SPREAD} (missing required label)"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """What these rules see of a pod that has a Node."""

    namespace: str
    labels: Mapping[str, str]
    domains: Mapping[str, str]
    """The labels of its Node."""
    repels: tuple[Mapping[str, Any], ...] = ()
    """Its own required anti-affinity terms."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a pod asks of its neighbours."""

    namespace: str
    labels: Mapping[str, str]
    attracted: tuple[Mapping[str, Any], ...] = ()
    repels: tuple[Mapping[str, Any], ...] = ()
    spread: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def of(cls, metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> Rules:
        affinity = spec.get("affinity") or {}
        constraints = spec.get("topologySpreadConstraints") or ()
        return cls(
            namespace=metadata.get("namespace", ""),
            labels=metadata.get("labels") or {},
            attracted=_required(affinity.get("podAffinity")),
            repels=_required(affinity.get("podAntiAffinity")),
            spread=tuple(each for each in constraints if each["whenUnsatisfiable"] != SOFT),
        )

    def __bool__(self) -> bool:
        return bool(self.attracted or self.repels or self.spread)


SOFT = "ScheduleAnyway"


def _required(affinity: Mapping[str, Any] | None) -> tuple[Mapping[str, Any], ...]:
    return tuple((affinity or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or ())


Judge = Callable[[Mapping[str, str]], tuple[str, bool]]
"""From a Node's labels: (why the pod may not go there or "", whether removing pods helps)."""


def judge_of(
    rules: Rules, neighbours: Iterable[Neighbour], nodes: Iterable[Mapping[str, str]]
) -> Judge:
    """The rules as a test of Nodes. `nodes` are the labels of those that the pod's node affinity
    allows: only they are counted as domains."""
    known = list(neighbours)
    repelled = {
        (term["topologyKey"], each.domains[term["topologyKey"]])
        for each in known
        for term in each.repels
        if term["topologyKey"] in each.domains and _selects(term, each.namespace)(rules)
    }
    avoided = _domains(rules.repels, known, rules.namespace)
    wanted = [_domains((term,), known, rules.namespace) for term in rules.attracted]
    # The first of a group that wants to be together may go anywhere.
    first = not any(wanted) and all(
        _selects(term, rules.namespace)(rules) for term in rules.attracted
    )
    spreads = [_Spread.of(each, rules, known, nodes) for each in rules.spread]

    def judge(labels: Mapping[str, str]) -> tuple[str, bool]:
        if any(each.key not in labels for each in spreads):
            return NO_DOMAIN, False
        if any(not each.allows(labels[each.key]) for each in spreads):
            return SPREAD, True
        for term, domains in zip(rules.attracted, wanted, strict=True):
            here = (term["topologyKey"], labels.get(term["topologyKey"], ""))
            if term["topologyKey"] not in labels or (here not in domains and not first):
                return AFFINITY, False
        pairs = set(labels.items())
        if not avoided.isdisjoint(pairs):
            return ANTI_AFFINITY, True
        return (EXISTING, True) if not repelled.isdisjoint(pairs) else ("", False)

    return judge


@dataclass(frozen=True, slots=True)
class _Spread:
    key: str
    counts: Counter[str]
    most: int
    """Pods that a domain may have before this one comes."""

    @classmethod
    def of(
        cls,
        constraint: Mapping[str, Any],
        rules: Rules,
        known: Iterable[Neighbour],
        nodes: Iterable[Mapping[str, str]],
    ) -> _Spread:
        key = constraint["topologyKey"]
        selector = dict(constraint.get("labelSelector") or {})
        kept = {
            name: rules.labels[name]
            for name in constraint.get("matchLabelKeys") or ()
            if name in rules.labels
        }
        selector["matchLabels"] = (selector.get("matchLabels") or {}) | kept
        matches = of_label_selector(selector)
        counts = Counter({labels[key]: 0 for labels in nodes if key in labels})
        for each in known:
            domain = each.domains.get(key, "")
            if domain in counts and each.namespace == rules.namespace and matches(each.labels):
                counts[domain] += 1
        few = len(counts) < constraint.get("minDomains", 1)
        least = 0 if few or not counts else min(counts.values())
        return cls(key, counts, least + constraint["maxSkew"] - bool(matches(rules.labels)))

    def allows(self, domain: str) -> bool:
        return self.counts[domain] <= self.most


def _domains(
    terms: Iterable[Mapping[str, Any]], known: Iterable[Neighbour], namespace: str
) -> set[tuple[str, str]]:
    """The (label, value) pairs of Nodes in whose domain a pod is that a term selects."""
    found = set()
    for term in terms:
        selects, key = _selects(term, namespace), term["topologyKey"]
        found |= {
            (key, each.domains[key]) for each in known if key in each.domains and selects(each)
        }
    return found


def _selects(term: Mapping[str, Any], own: str) -> Callable[[Neighbour | Rules], bool]:
    matches = of_label_selector(term.get("labelSelector"))
    everywhere = term.get("namespaceSelector") == {}
    names = term.get("namespaces") or ()
    if not names and term.get("namespaceSelector") is None:
        names = (own,)
    return lambda pod: (everywhere or pod.namespace in names) and matches(pod.labels)
