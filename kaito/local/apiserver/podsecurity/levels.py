"""The levels of pod security in their versions, and the labels that choose them."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, NamedTuple

from kaito.local.apiserver.fields import FieldError, wrong
from kaito.local.apiserver.podsecurity import checks as c

Object = dict[str, Any]
PREFIX = "pod-security.kubernetes.io/"
LEVELS = ("privileged", "baseline", "restricted")
VERSION = re.compile(r"v1\.([0-9]|[1-9][0-9]*)\Z")
LATEST = 1_000_000

BASELINE: dict[str, dict[int, c.Check]] = {
    "appArmorProfile": {0: c.apparmor},
    "capabilities_baseline": {0: c.capabilities},
    "hostNamespaces": {0: c.host_namespaces},
    "hostPathVolumes": {0: c.host_paths},
    "hostPorts": {0: c.host_ports},
    "hostProbesAndHostLifecycle": {34: c.handler_hosts},
    "privileged": {0: c.privileged},
    "procMount": {0: c.proc_mount, 35: c.not_for_own_users(c.proc_mount)},
    "seLinuxOptions": {0: c.selinux(c.SELINUX), 31: c.selinux(c.SELINUX | {"container_engine_t"})},
    "seccompProfile_baseline": {0: c.seccomp_notes, 19: c.seccomp},
    "sysctls": {
        0: c.sysctls(c.SYSCTLS),
        27: c.sysctls(c.SYSCTLS_27),
        29: c.sysctls(c.SYSCTLS_29),
        32: c.sysctls(c.SYSCTLS_32),
    },
    "windowsHostProcess": {0: c.host_process},
}
RESTRICTED: dict[str, dict[int, c.Check]] = {
    "allowPrivilegeEscalation": {
        8: c.privilege_escalation,
        25: c.not_on_windows(c.privilege_escalation),
    },
    "capabilities_restricted": {
        22: c.few_capabilities,
        25: c.not_on_windows(c.few_capabilities),
    },
    "procMount_restricted": {35: c.proc_mount},
    "restrictedVolumes": {0: c.volume_types},
    "runAsNonRoot": {0: c.non_root, 35: c.not_for_own_users(c.non_root)},
    "runAsUser": {23: c.not_root, 35: c.not_for_own_users(c.not_root)},
    "seccompProfile_restricted": {
        19: c.demanded_seccomp,
        25: c.not_on_windows(c.demanded_seccomp),
    },
}
REPLACED = {
    "capabilities_restricted": "capabilities_baseline",
    "procMount_restricted": "procMount",
    "restrictedVolumes": "hostPathVolumes",
    "seccompProfile_restricted": "seccompProfile_baseline",
}


class Level(NamedTuple):
    name: str = "privileged"
    version: int = LATEST

    def __str__(self) -> str:
        version = "latest" if self.version == LATEST else f"v1.{self.version}"
        return f"{self.name}:{version}"

    @property
    def rank(self) -> int:
        return LEVELS.index(self.name)


class Policy(NamedTuple):
    enforce: Level
    warn: Level
    faults: list[FieldError]


@cache
def _checks(level: Level) -> tuple[c.Check, ...]:
    def at(table: dict[str, dict[int, c.Check]]) -> dict[str, c.Check]:
        return {
            name: versions[max(since)]
            for name, versions in table.items()
            if (since := [v for v in versions if v <= level.version])
        }

    if level.name == "privileged":
        return ()
    baseline = at(BASELINE)
    if level.name == "baseline":
        return tuple(baseline.values())
    restricted = at(RESTRICTED)
    for name in restricted:
        baseline.pop(REPLACED.get(name, ""), None)
    return (*baseline.values(), *restricted.values())


def findings(level: Level, metadata: Object, spec: Object) -> list[c.Finding]:
    return [found for check in _checks(level) if (found := check(metadata, spec)) is not None]


def detail(found: list[c.Finding]) -> str:
    return ", ".join(f"{one.reason} ({one.detail})" if one.detail else one.reason for one in found)


def policy(labels: dict[str, str]) -> Policy:
    """What the labels of a namespace ask for, and what is wrong with them."""
    faults: list[FieldError] = []

    def read(mode: str, on_fault: str) -> tuple[Level, bool, bool]:
        name, version, named = "privileged", LATEST, False
        key = f"{PREFIX}{mode}"
        if (text := labels.get(key)) is not None:
            name, named = text, text in LEVELS
            if not named:
                name = on_fault
                faults.append(_fault(key, text, f"must be one of {', '.join(LEVELS)}"))
        key = f"{PREFIX}{mode}-version"
        if (text := labels.get(key)) is not None:
            match = VERSION.match(text)
            if match:
                version = int(match[1])
            elif text != "latest":
                faults.append(_fault(key, text, 'must be "latest" or "v1.x"'))
        return Level(name, version), named, key in labels

    enforce, enforced, _ = read("enforce", "restricted")
    read("audit", "privileged")
    warn, _, versioned = read("warn", "privileged")
    if f"{PREFIX}warn" not in labels and enforced and enforce.rank > warn.rank:
        warn = Level(enforce.name, warn.version if versioned else enforce.version)
    return Policy(enforce, warn, faults)


def _fault(key: str, value: str, says: str) -> FieldError:
    return wrong(f"metadata.labels[{key}]", value, says)
