"""What the levels of pod security forbid: one check a subject, each with the server's words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from kaito.local.apiserver.fields import go_quote

Object = dict[str, Any]


class Finding(NamedTuple):
    reason: str
    detail: str


Check = Callable[[Object, Object], Finding | None]

APPARMOR_NOTE = "container.apparmor.security.beta.kubernetes.io/"
SECCOMP_NOTE = "seccomp.security.alpha.kubernetes.io/pod"
SECCOMP_CONTAINER_NOTE = "container.seccomp.security.alpha.kubernetes.io/"
CAPABILITIES = {
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
}
PROFILES = {"RuntimeDefault", "Localhost"}
SELINUX = {"", "container_t", "container_init_t", "container_kvm_t"}
SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
}
SYSCTLS_27 = SYSCTLS | {"net.ipv4.ip_local_reserved_ports"}
SYSCTLS_29 = SYSCTLS_27 | {
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
}
SYSCTLS_32 = SYSCTLS_29 | {"net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"}
ALLOWED_VOLUMES = (
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
)


def containers(spec: Object) -> Iterator[Object]:
    for part in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(part) or ()


def _context(holder: Object) -> Object:
    return holder.get("securityContext") or {}


def _contexts(spec: Object) -> Iterator[tuple[str, Object]]:
    for container in containers(spec):
        yield container["name"], _context(container)


def _quoted(items: Iterable[str]) -> str:
    return ", ".join(f'"{item}"' for item in items)


def _plural(singular: str, count: int) -> str:
    return singular if count == 1 else f"{singular}s"


def _named(names: list[str]) -> str:
    return f"{_plural('container', len(names))} {_quoted(names)}"


def _setters(pod: bool, names: list[str]) -> str:
    return " and ".join([*(["pod"] if pod else []), *([_named(names)] if names else [])])


def _flagged(reason: str, demand: str, wrong: Callable[[Object], bool]) -> Check:
    """A check of containers alone."""

    def check(_metadata: Object, spec: Object) -> Finding | None:
        names = [name for name, context in _contexts(spec) if wrong(context)]
        return Finding(reason, f"{_named(names)} {demand}") if names else None

    return check


def not_on_windows(check: Check) -> Check:
    def checked(metadata: Object, spec: Object) -> Finding | None:
        return None if (spec.get("os") or {}).get("name") == "windows" else check(metadata, spec)

    return checked


def not_for_own_users(check: Check) -> Check:
    """A check that pods with a user namespace of their own are spared."""

    def checked(metadata: Object, spec: Object) -> Finding | None:
        return None if spec.get("hostUsers") is False else check(metadata, spec)

    return checked


privileged = _flagged(
    "privileged",
    "must not set securityContext.privileged=true",
    lambda context: context.get("privileged") is True,
)
privilege_escalation = _flagged(
    "allowPrivilegeEscalation != false",
    "must set securityContext.allowPrivilegeEscalation=false",
    lambda context: context.get("allowPrivilegeEscalation") is not False,
)


def apparmor(metadata: Object, spec: Object) -> Finding | None:
    def wrong(context: Object) -> str | None:
        kind = (context.get("appArmorProfile") or {}).get("type")
        return kind if kind is not None and kind not in PROFILES else None

    pod = wrong(_context(spec))
    found = [(name, kind) for name, context in _contexts(spec) if (kind := wrong(context))]
    values = sorted({kind for _, kind in found} | ({pod} if pod else set()))
    notes = sorted(
        f"{key}={go_quote(value)}"
        for key, value in (metadata.get("annotations") or {}).items()
        if key.startswith(APPARMOR_NOTE)
        and value not in {"", "runtime/default"}
        and not value.startswith("localhost/")
    )
    setters = [_setters(pod is not None, [name for name, _ in found])] if pod or found else []
    if notes:
        setters.append(_plural("annotation", len(notes)))
    if not setters:
        return None
    values += notes
    return Finding(
        _plural("forbidden AppArmor profile", len(values)),
        f"{' and '.join(setters)} must not set AppArmor profile type to {_quoted(values)}",
    )


def _listed(spec: Object, wrong: Callable[[Object], set[str]]) -> tuple[list[str], list[str]]:
    """The containers with something wrong, and all that is wrong."""
    names, values = [], set()
    for container in containers(spec):
        if found := wrong(container):
            names.append(container["name"])
            values |= found
    return names, sorted(values)


def _added(container: Object) -> list[str]:
    return (_context(container).get("capabilities") or {}).get("add") or []


def capabilities(_metadata: Object, spec: Object) -> Finding | None:
    names, values = _listed(spec, lambda container: set(_added(container)) - CAPABILITIES)
    if not names:
        return None
    return Finding(
        "non-default capabilities",
        f"{_named(names)} must not include {_quoted(values)} in securityContext.capabilities.add",
    )


def few_capabilities(_metadata: Object, spec: Object) -> Finding | None:
    keeping = [
        name
        for name, context in _contexts(spec)
        if "ALL" not in ((context.get("capabilities") or {}).get("drop") or ())
    ]
    names, values = _listed(spec, lambda container: set(_added(container)) - {"NET_BIND_SERVICE"})
    details = []
    if keeping:
        details.append(f'{_named(keeping)} must set securityContext.capabilities.drop=["ALL"]')
    if names:
        words = f"must not include {_quoted(values)} in securityContext.capabilities.add"
        details.append(f"{_named(names)} {words}")
    return Finding("unrestricted capabilities", "; ".join(details)) if details else None


def host_namespaces(_metadata: Object, spec: Object) -> Finding | None:
    used = [f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    return Finding("host namespaces", ", ".join(used)) if used else None


def host_paths(_metadata: Object, spec: Object) -> Finding | None:
    names = [v["name"] for v in spec.get("volumes") or () if v.get("hostPath") is not None]
    if not names:
        return None
    return Finding("hostPath volumes", f"{_plural('volume', len(names))} {_quoted(names)}")


def host_ports(_metadata: Object, spec: Object) -> Finding | None:
    names, ports = _listed(
        spec,
        lambda container: {
            str(port["hostPort"]) for port in container.get("ports") or () if port.get("hostPort")
        },
    )
    if not names:
        return None
    uses = "uses" if len(names) == 1 else "use"
    listed = ", ".join(ports)
    return Finding("hostPort", f"{_named(names)} {uses} {_plural('hostPort', len(ports))} {listed}")


def _hosts(container: Object) -> set[str]:
    lifecycle = container.get("lifecycle") or {}
    handlers = [container.get(f"{name}Probe") for name in ("liveness", "readiness", "startup")]
    handlers += [lifecycle.get("postStart"), lifecycle.get("preStop")]
    hosts = {
        (handler.get(way) or {}).get("host", "")
        for handler in handlers
        if handler
        for way in ("httpGet", "tcpSocket")
    }
    return hosts - {""}


def handler_hosts(_metadata: Object, spec: Object) -> Finding | None:
    names, hosts = _listed(spec, _hosts)
    if not names:
        return None
    uses = "uses" if len(names) == 1 else "use"
    words = _plural("probe or lifecycle host", len(hosts))
    return Finding(
        "probe or lifecycle host", f"{_named(sorted(names))} {uses} {words} {_quoted(hosts)}"
    )


def proc_mount(_metadata: Object, spec: Object) -> Finding | None:
    names, values = _listed(
        spec, lambda container: {_context(container).get("procMount", "Default")} - {"Default"}
    )
    if not names:
        return None
    return Finding(
        "procMount", f"{_named(names)} must not set securityContext.procMount to {_quoted(values)}"
    )


def selinux(types: set[str]) -> Check:
    def check(_metadata: Object, spec: Object) -> Finding | None:
        def wrong(context: Object) -> bool:
            options = context.get("seLinuxOptions") or {}
            return bool(
                options.get("type", "") not in types or options.get("user") or options.get("role")
            )

        pod = wrong(_context(spec))
        names = [name for name, context in _contexts(spec) if wrong(context)]
        if not pod and not names:
            return None
        contexts = [_context(spec), *(context for _, context in _contexts(spec))]
        options = [context.get("seLinuxOptions") or {} for context in contexts]
        bad = sorted({option.get("type", "") for option in options} - types)
        data = [f"{_plural('type', len(bad))} {_quoted(bad)}"] if bad else []
        data += [
            f"{part} may not be set"
            for part in ("user", "role")
            if any(option.get(part) for option in options)
        ]
        words = "set forbidden securityContext.seLinuxOptions"
        return Finding("seLinuxOptions", f"{_setters(pod, names)} {words}: {'; '.join(data)}")

    return check


def _seccomp(context: Object) -> str | None:
    profile = context.get("seccompProfile")
    return None if profile is None else profile.get("type", "")


def seccomp(_metadata: Object, spec: Object) -> Finding | None:
    pod = _seccomp(_context(spec))
    own = {name: kind for name, c in _contexts(spec) if (kind := _seccomp(c)) is not None}
    names = [name for name, kind in own.items() if kind not in PROFILES]
    badly = pod is not None and pod not in PROFILES
    if not badly and not names:
        return None
    values = {own[name] for name in names} | ({pod} if badly and pod is not None else set())
    words = f"must not set securityContext.seccompProfile.type to {_quoted(sorted(values))}"
    return Finding("seccompProfile", f"{_setters(badly, names)} {words}")


def demanded_seccomp(metadata: Object, spec: Object) -> Finding | None:
    found = seccomp(metadata, spec)
    if found is not None or _seccomp(_context(spec)) in PROFILES:
        return found
    names = [name for name, context in _contexts(spec) if _seccomp(context) is None]
    if not names:
        return None
    words = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return Finding("seccompProfile", f"pod or {_named(names)} {words}")


def seccomp_notes(metadata: Object, spec: Object) -> Finding | None:
    """Seccomp profiles as annotations, which only old versions look at."""
    annotations = metadata.get("annotations") or {}
    keys = {SECCOMP_NOTE} | {SECCOMP_CONTAINER_NOTE + c["name"] for c in containers(spec)}
    wrong = sorted(
        f"{key}={go_quote(annotations[key])}"
        for key in keys & set(annotations)
        if annotations[key] not in {"runtime/default", "docker/default"}
        and not annotations[key].startswith("localhost/")
    )
    if not wrong:
        return None
    words = f"forbidden {_plural('annotation', len(wrong))}"
    return Finding("seccompProfile", f"{words} {', '.join(wrong)}")


def sysctls(allowed: set[str]) -> Check:
    def check(_metadata: Object, spec: Object) -> Finding | None:
        listed = _context(spec).get("sysctls") or ()
        names = [one["name"] for one in listed if one["name"] not in allowed]
        return Finding("forbidden sysctls", ", ".join(names)) if names else None

    return check


def host_process(_metadata: Object, spec: Object) -> Finding | None:
    def wrong(context: Object) -> bool:
        return (context.get("windowsOptions") or {}).get("hostProcess") is True

    pod = wrong(_context(spec))
    names = [name for name, context in _contexts(spec) if wrong(context)]
    if not pod and not names:
        return None
    words = "must not set securityContext.windowsOptions.hostProcess=true"
    return Finding("hostProcess", f"{_setters(pod, names)} {words}")


def volume_types(_metadata: Object, spec: Object) -> Finding | None:
    names, types = [], set()
    for volume in spec.get("volumes") or ():
        if all(volume.get(kind) is None for kind in ALLOWED_VOLUMES):
            names.append(volume["name"])
            kinds = [k for k in volume if k != "name" and volume[k] is not None]
            types.add(kinds[0] if kinds else "unknown")
    if not names:
        return None
    uses = "uses" if len(names) == 1 else "use"
    words = _plural("restricted volume type", len(types))
    volumes = f"{_plural('volume', len(names))} {_quoted(names)}"
    return Finding("restricted volume types", f"{volumes} {uses} {words} {_quoted(sorted(types))}")


def non_root(_metadata: Object, spec: Object) -> Finding | None:
    pod = _context(spec).get("runAsNonRoot")
    own = {name: context.get("runAsNonRoot") for name, context in _contexts(spec)}
    wrong = [name for name, value in own.items() if value is False]
    reason = "runAsNonRoot != true"
    if pod is False or wrong:
        words = "must not set securityContext.runAsNonRoot=false"
        return Finding(reason, f"{_setters(pod is False, wrong)} {words}")
    silent = [name for name, value in own.items() if value is None]
    if pod or not silent:
        return None
    return Finding(reason, f"pod or {_named(silent)} must set securityContext.runAsNonRoot=true")


def not_root(_metadata: Object, spec: Object) -> Finding | None:
    pod = _context(spec).get("runAsUser") == 0
    names = [name for name, context in _contexts(spec) if context.get("runAsUser") == 0]
    if not pod and not names:
        return None
    return Finding("runAsUser=0", f"{_setters(pod, names)} must not set runAsUser=0")
