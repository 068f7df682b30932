"""Where a pod may run: node selection, affinity, spreading, tolerations, gates."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver import names
from kaito.local.apiserver.behaviours.podspec.checks import (
    by,
    chosen,
    label_selector,
    needs_choice,
    values_fit,
)
from kaito.local.apiserver.fields import FieldError, denied, duplicate, listed, required, wrong

Object = dict[str, Any]
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
OPERATORS = ("Equal", "Exists")
NOT_OPERATOR = "not a valid selector operator"


def check_affinity(affinity: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if "nodeAffinity" in affinity:
        errors += _node_affinity(affinity["nodeAffinity"], f"{path}.nodeAffinity")
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = affinity.get(kind) or {}
        for i, term in enumerate(terms.get(REQUIRED) or ()):
            errors += _pod_term(term, f"{path}.{kind}.{REQUIRED}[{i}]")
        for i, weighted in enumerate(terms.get(PREFERRED) or ()):
            where = f"{path}.{kind}.{PREFERRED}[{i}]"
            errors += _weight(weighted, where)
            errors += _pod_term(weighted.get("podAffinityTerm") or {}, f"{where}.podAffinityTerm")
    return errors


def _weight(term: Object, path: str) -> list[FieldError]:
    weight = term.get("weight", 0)
    if 1 <= weight <= 100:
        return []
    return [wrong(f"{path}.weight", weight, "must be in the range 1-100")]


def _node_affinity(affinity: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if REQUIRED in affinity:
        errors += check_node_selector(affinity[REQUIRED], f"{path}.{REQUIRED}")
    for i, term in enumerate(affinity.get(PREFERRED) or ()):
        where = f"{path}.{PREFERRED}[{i}]"
        errors += _weight(term, where)
        errors += _node_term(term.get("preference") or {}, f"{where}.preference", strict=False)
    return errors


def check_node_selector(selector: Object, path: str) -> list[FieldError]:
    terms = selector.get("nodeSelectorTerms") or []
    where = f"{path}.nodeSelectorTerms"
    if not terms:
        return [required(where, "must have at least one node selector term")]
    errors: list[FieldError] = []
    for i, term in enumerate(terms):
        errors += _node_term(term, f"{where}[{i}]", strict=True)
    return errors


def _node_term(term: Object, path: str, *, strict: bool) -> list[FieldError]:
    """`strict`: values must be label values, which preferences need not be."""
    errors: list[FieldError] = []
    for i, rule in enumerate(term.get("matchExpressions") or ()):
        errors += _node_rule(rule, f"{path}.matchExpressions[{i}]", strict=strict)
    for i, rule in enumerate(term.get("matchFields") or ()):
        errors += _field_rule(rule, f"{path}.matchFields[{i}]")
    return errors


def _node_rule(rule: Object, path: str, *, strict: bool) -> list[FieldError]:
    operator, values = rule.get("operator", ""), rule.get("values") or []
    errors = values_fit(rule, path)
    if operator in {"Gt", "Lt"}:
        if len(values) != 1:
            says = "must be specified single value when `operator` is 'Lt' or 'Gt'"
            errors.append(required(f"{path}.values", says))
    elif operator not in {"In", "NotIn", "Exists", "DoesNotExist"}:
        errors.append(wrong(f"{path}.operator", operator, NOT_OPERATOR))
    errors += by(names.qualified, rule.get("key", ""), f"{path}.key")
    for i, value in enumerate(values if strict else ()):
        errors += by(names.label_value, value, f"{path}.values[{i}]")
    return errors


def _field_rule(rule: Object, path: str) -> list[FieldError]:
    operator, values, key = rule.get("operator", ""), rule.get("values") or [], rule.get("key", "")
    errors: list[FieldError] = []
    if operator not in {"In", "NotIn"}:
        errors.append(wrong(f"{path}.operator", operator, NOT_OPERATOR))
    elif len(values) != 1:
        says = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        errors.append(required(f"{path}.values", says))
    if key != "metadata.name":
        return [*errors, wrong(f"{path}.key", key, "not a valid field selector key")]
    for i, value in enumerate(values):
        errors += by(names.subdomain, value, f"{path}.values[{i}]")
    return errors


def _pod_term(term: Object, path: str) -> list[FieldError]:
    key = term.get("topologyKey", "")
    errors = label_selector(term.get("labelSelector"), f"{path}.labelSelector")
    errors += label_selector(term.get("namespaceSelector"), f"{path}.namespaceSelector")
    for namespace in term.get("namespaces") or ():
        errors += by(names.label, namespace, f"{path}.namespace")
    errors += _label_keys(term, path)
    if not key:
        errors.append(required(f"{path}.topologyKey", "can not be empty"))
    return errors + by(names.qualified, key, f"{path}.topologyKey")


def _label_keys(term: Object, path: str) -> list[FieldError]:
    """Keys whose values the pod's own labels give."""
    wanted, unwanted = term.get("matchLabelKeys") or [], term.get("mismatchLabelKeys") or []
    selector = term.get("labelSelector")
    errors: list[FieldError] = []
    for part, keys in (("matchLabelKeys", wanted), ("mismatchLabelKeys", unwanted)):
        if keys and selector is None:
            says = "must not be specified when labelSelector is not set"
            errors.append(denied(f"{path}.{part}", says))
        elif keys:
            for i, key in enumerate(keys):
                errors += by(names.qualified, key, f"{path}.{part}[{i}]")
    places = {key: i for i, key in enumerate(wanted)}
    seen = set((selector or {}).get("matchLabels") or ())
    for rule in (selector or {}).get("matchExpressions") or ():
        key = rule.get("key", "")
        if key in places and key in seen:
            says = "exists in both matchLabelKeys and labelSelector"
            errors.append(wrong(f"{path}[{places[key]}]", key, says))
        seen.add(key)
    for i, key in enumerate(wanted):
        if key in unwanted:
            says = "exists in both matchLabelKeys and mismatchLabelKeys"
            errors.append(wrong(f"{path}.matchLabelKeys[{i}]", key, says))
    return errors


def check_spread(constraints: list[Object], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, item in enumerate(constraints):
        where, key = f"{path}[{i}]", item.get("topologyKey", "")
        action, least = item.get("whenUnsatisfiable", ""), item.get("minDomains")
        errors += _positive(item.get("maxSkew", 0), f"{where}.maxSkew")
        if not key:
            errors.append(required(f"{where}.topologyKey", "can not be empty"))
        known = ("DoNotSchedule", "ScheduleAnyway")
        errors += chosen(action, known, f"{where}.whenUnsatisfiable")
        for other in constraints[i + 1 :]:
            if (other.get("topologyKey", ""), other.get("whenUnsatisfiable", "")) == (key, action):
                at = f"{where}.{{topologyKey, whenUnsatisfiable}}"
                errors.append(duplicate(at, f"{{{key}, {action}}}"))
                break
        if least is not None:
            errors += _positive(least, f"{where}.minDomains")
            if action != "DoNotSchedule":
                says = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
                errors.append(wrong(f"{where}.minDomains", least, says))
        for policy in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            errors += chosen(item.get(policy), ("Honor", "Ignore"), f"{where}.{policy}")
        errors += _label_keys(item, where)
        errors += label_selector(item.get("labelSelector"), f"{where}.labelSelector")
    return errors


def _positive(value: int, path: str) -> list[FieldError]:
    return [] if value > 0 else [wrong(path, value, "must be greater than zero")]


def check_tolerations(tolerations: list[Object], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, item in enumerate(tolerations):
        where = f"{path}[{i}]"
        key, operator = item.get("key", ""), item.get("operator", "")
        value, effect = item.get("value", ""), item.get("effect", "")
        if key:
            errors += by(names.qualified, key, f"{where}.key")
        elif operator != "Exists":
            says = (
                "operator must be Exists when `key` is empty, which means "
                '"match all values and all keys"'
            )
            errors.append(wrong(f"{where}.operator", operator, says))
        if item.get("tolerationSeconds") is not None and effect != "NoExecute":
            says = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            errors.append(wrong(f"{where}.effect", effect, says))
        errors += _operator(operator, value, f"{where}.operator")
        if effect:
            errors += needs_choice(effect, EFFECTS, f"{where}.effect")
    return errors


def _operator(operator: str, value: str, path: str) -> list[FieldError]:
    if operator == "Exists":
        says = "value must be empty when `operator` is 'Exists'"
        return [wrong(path, value, says)] if value else []
    if operator in {"", "Equal"}:
        faults = names.label_value(value)
        return [wrong(path, value, ";".join(faults))] if faults else []
    more = ("Lt", "Gt") if operator in {"Lt", "Gt"} else ()
    return [listed(path, operator, (*OPERATORS, *more))]


def check_gates(gates: list[Object], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, gate in enumerate(gates):
        name = gate.get("name", "")
        errors += by(names.qualified, name, f"{path}[{i}]")
        if name in seen:
            errors.append(duplicate(f"{path}[{i}]", name))
        seen.add(name)
    return errors


def label_key_terms(spec: Object) -> list[Object]:
    """Every term of affinity or spreading, which may take values from the pod's own labels."""
    found: list[Object] = []
    affinity = spec.get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = affinity.get(kind) or {}
        found += [w.get("podAffinityTerm") or {} for w in terms.get(PREFERRED) or ()]
        found += terms.get(REQUIRED) or ()
    return found + (spec.get("topologySpreadConstraints") or [])
