"""ConfigMaps and Secrets."""

from __future__ import annotations

import base64
from typing import Any

from kaito.local.apiserver.behaviour import Behaviour
from kaito.local.apiserver.behaviours.podspec.checks import by, config_key
from kaito.local.apiserver.fields import (
    FieldError,
    denied,
    required,
    too_long,
    unchangeable,
    wrong,
)
from kaito.local.apiserver.jsontext import TextError, parse_json

Object = dict[str, Any]
SIZE = 1024 * 1024  # bytes of all values together
IMMUTABLE = "field is immutable when `immutable` is set"
NEEDED = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}


def validate_map(obj: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    total = 0
    for key, value in sorted(data.items()):
        errors += by(config_key, key, f"data[{key}]")
        if key in binary:
            errors.append(wrong(f"data[{key}]", key, "duplicate of key present in binaryData"))
        total += len(value.encode())
    for key, value in sorted(binary.items()):
        errors += by(config_key, key, f"binaryData[{key}]")
        total += len(value or "") * 3 // 4
    if total > SIZE:
        errors.append(too_long("[]", SIZE))  # an empty path is printed so
    return errors


def _frozen(new: Object, old: Object, parts: tuple[str, ...]) -> list[FieldError]:
    if not old.get("immutable"):
        return []
    errors = []
    if not new.get("immutable"):
        errors.append(denied("immutable", IMMUTABLE))
    errors += [denied(p, IMMUTABLE) for p in parts if (new.get(p) or {}) != (old.get(p) or {})]
    return errors


def validate_map_update(new: Object, old: Object) -> list[FieldError]:
    return _frozen(new, old, ("data", "binaryData")) + validate_map(new)


def default_secret(secret: Object) -> None:
    plain = secret.pop("stringData", None)
    if plain:
        data = secret.setdefault("data", {})
        for key, value in plain.items():
            data[key] = base64.b64encode(value.encode()).decode()
    secret.setdefault("type", "Opaque")


def validate_secret(secret: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    data = secret.get("data") or {}
    total = 0
    for key, value in sorted(data.items()):
        errors += by(config_key, key, f"data[{key}]")
        total += len(value or "") * 3 // 4
    if total > SIZE:
        errors.append(too_long("data", SIZE))
    kind = secret.get("type", "")
    for key in NEEDED.get(kind, ()):
        if key not in data or (key == "ssh-privatekey" and not data[key]):
            errors.append(required(f"data[{key}]"))
        elif key.startswith(".docker"):
            try:
                parse_json(base64.b64decode(data[key] or ""))
            except TextError as error:
                errors.append(wrong(f"data[{key}]", "<secret contents redacted>", str(error)))
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & set(data):
        errors += [required("data[username]"), required("data[password]")]
    if kind == "kubernetes.io/service-account-token":
        annotations = secret["metadata"].get("annotations") or {}
        if not annotations.get("kubernetes.io/service-account.name"):
            errors.append(required("metadata.annotations[kubernetes.io/service-account.name]"))
    return errors


def validate_secret_update(new: Object, old: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    if new.get("type") != old.get("type"):
        errors.append(unchangeable("type", new.get("type")))
    return errors + _frozen(new, old, ("data",)) + validate_secret(new)


def certificate_warnings(secret: Object) -> list[str]:
    """A certificate and its key are PEM."""
    if secret.get("type") != "kubernetes.io/tls":
        return []
    data = secret.get("data") or {}
    for key, called in (("tls.crt", "certificate"), ("tls.key", "key")):
        if b"-----BEGIN " not in base64.b64decode(data.get(key) or ""):
            return [f"tls: failed to find any PEM data in {called} input"]
    return []


CONFIG_MAPS = Behaviour(validate=validate_map, validate_update=validate_map_update)
SECRETS = Behaviour(
    default=default_secret,
    validate=validate_secret,
    validate_update=validate_secret_update,
    warnings=certificate_warnings,
    selectable=lambda o: {"type": o.get("type", "")},
    selectors=frozenset({"type"}),
)
