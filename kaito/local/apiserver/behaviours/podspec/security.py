"""What a container or a pod may do on its node, and the operating system it is made for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kaito.local.apiserver import names
from kaito.local.apiserver.behaviours.podspec.checks import (
    by,
    chosen,
    descending,
    owner_id,
)
from kaito.local.apiserver.fields import (
    FieldError,
    denied,
    duplicate,
    listed,
    required,
    too_long,
    wrong,
)
from kaito.local.apiserver.gotext import compact

Object = dict[str, Any]
SYSTEMS = ("linux", "windows")
PARTS = ("initContainers", "containers", "ephemeralContainers")
PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
PROFILE_LIMIT = 4095  # bytes of a path
SYSCTL = re.compile(r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?")
SYSCTL_SAYS = (
    "must have at most 253 characters and match regex "
    r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
)
IPC_SYSCTLS = re.compile(r"kernel\.(shm|msg|sem$)|fs\.mqueue\.|kernel\.sem$")
SPEC_SIZE = 64 * 1024
DOMAIN = re.compile(
    r"[^\\/:*?\"<>|.][^\\/:*?\"<>|]{0,14}|"
    r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}"
    r"[a-zA-Z0-9])?)*"
)
NOT_ON_WINDOWS = (
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
)
POD_NOT_ON_WINDOWS = (
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "sysctls",
    "runAsUser",
    "runAsGroup",
    "supplementalGroups",
    "supplementalGroupsPolicy",
    "seLinuxChangePolicy",
)


def containers_of(spec: Object, path: str) -> Iterator[tuple[Object, str]]:
    """Every container with its path."""
    for part in PARTS:
        for i, container in enumerate(spec.get(part) or ()):
            yield container, f"{path}.{part}[{i}]"


def check_container(context: Object, path: str, *, host_users: bool) -> list[FieldError]:
    errors = owner_id(context.get("runAsUser"), f"{path}.runAsUser")
    errors += owner_id(context.get("runAsGroup"), f"{path}.runAsGroup")
    mount = context.get("procMount")
    errors += chosen(mount, ("Default", "Unmasked"), f"{path}.procMount")
    if mount == "Unmasked" and host_users:
        says = "`hostUsers` must be false to use `Unmasked`"
        errors.append(wrong(f"{path}.procMount", mount, says))
    errors += _seccomp(context.get("seccompProfile"), f"{path}.seccompProfile")
    errors += _escalation(context, path)
    errors += _windows(context.get("windowsOptions") or {}, f"{path}.windowsOptions")
    return errors + _app_armor(context.get("appArmorProfile"), f"{path}.appArmorProfile")


def _escalation(context: Object, path: str) -> list[FieldError]:
    if context.get("allowPrivilegeEscalation") is not False:
        return []
    start = "cannot set `allowPrivilegeEscalation` to false and "
    added = (context.get("capabilities") or {}).get("add") or ()
    faults = ["`privileged` to true"] if context.get("privileged") else []
    faults += ["`capabilities.Add` CAP_SYS_ADMIN" for a in added if a == "CAP_SYS_ADMIN"]
    return [wrong(path, compact("SecurityContext", context), start + f) for f in faults]


def _seccomp(profile: Object | None, path: str) -> list[FieldError]:
    if profile is None:
        return []
    kind, local = profile.get("type", ""), profile.get("localhostProfile")
    where, errors = f"{path}.localhostProfile", []
    if kind:
        errors += chosen(kind, PROFILES, f"{path}.type")
    else:
        errors.append(required(f"{path}.type", "type is required when seccompProfile is set"))
    if kind != "Localhost":
        if local is not None:
            says = "can only be set when seccomp type is Localhost"
            errors.append(wrong(where, compact("SeccompProfile", profile), says))
    elif local is None:
        errors.append(required(where, "must be set when seccomp type is Localhost"))
    else:
        errors += descending(local, where)
    return errors


def _app_armor(profile: Object | None, path: str) -> list[FieldError]:
    if profile is None:
        return []
    kind, local = profile.get("type", ""), profile.get("localhostProfile")
    where = f"{path}.localhostProfile"
    if not kind:
        return [required(f"{path}.type", "type is required when appArmorProfile is set")]
    if kind not in PROFILES:
        return [listed(f"{path}.type", kind, PROFILES)]
    if kind != "Localhost":
        says = "can only be set when AppArmor type is Localhost"
        return [] if local is None else [wrong(where, local, says)]
    if not local:
        return [required(where, "must be set when AppArmor type is Localhost")]
    errors: list[FieldError] = []
    if local.strip() != local:
        errors.append(wrong(where, local, "must not be padded with whitespace"))
    if len(local.encode()) > PROFILE_LIMIT:
        errors.append(too_long(where, PROFILE_LIMIT))
    return errors


def _windows(options: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    name, text = options.get("gmsaCredentialSpecName"), options.get("gmsaCredentialSpec")
    if name is not None:
        errors += by(names.subdomain, name, f"{path}.gmsaCredentialSpecName")
    where = f"{path}.gmsaCredentialSpec"
    if text == "":
        errors.append(wrong(where, text, "gmsaCredentialSpec cannot be an empty string"))
    elif text is not None and len(text.encode()) > SPEC_SIZE:
        errors.append(wrong(where, text, "gmsaCredentialSpec size must be under 64 KiB"))
    if options.get("runAsUserName") is not None:
        errors += by(windows_user, options["runAsUserName"], f"{path}.runAsUserName")
    return errors


def windows_user(text: str) -> list[str]:
    """Faults of `DOMAIN\\user` or of a user alone."""
    if not text:
        return ["runAsUserName cannot be an empty string"]
    if re.search(r"[\x00-\x1f\x7f]", text):
        return ["runAsUserName cannot contain control characters"]
    if text.count("\\") > 1:
        return ["runAsUserName cannot contain more than one backslash"]
    domain, slash, user = text.rpartition("\\")
    faults = []
    if len(domain) >= 256:
        faults.append("runAsUserName's Domain length must be under 256 characters")
    if slash and not DOMAIN.fullmatch(domain):
        faults.append("runAsUserName's Domain doesn't match the NetBios nor the DNS format")
    if not user:
        faults.append("runAsUserName's User cannot be empty")
    elif len(user) > 104:
        faults.append("runAsUserName's User length must not be longer than 104 characters")
    if re.fullmatch(r"[. ]+", user):
        faults.append("runAsUserName's User cannot contain only periods or spaces")
    if re.search(r'["/\\:;|=,+*?<>@\[\]]', user):
        faults.append(
            "runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]"
        )
    return faults


def check_pod(spec: Object, path: str) -> list[FieldError]:
    """The security context of a whole pod."""
    context, where = spec.get("securityContext") or {}, f"{path}.securityContext"
    errors: list[FieldError] = []
    for name in ("fsGroup", "runAsUser", "runAsGroup"):
        errors += owner_id(context.get(name), f"{where}.{name}")
    for i, group in enumerate(context.get("supplementalGroups") or ()):
        errors += owner_id(group, f"{where}.supplementalGroups[{i}]")
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        says = "ShareProcessNamespace and HostPID cannot both be enabled"
        errors.append(wrong(f"{where}.shareProcessNamespace", True, says))
    errors += _sysctls(spec, context.get("sysctls") or [], f"{where}.sysctls")
    policy = context.get("fsGroupChangePolicy")
    errors += chosen(policy, ("Always", "OnRootMismatch"), f"{where}.fsGroupChangePolicy")
    errors += _seccomp(context.get("seccompProfile"), f"{where}.seccompProfile")
    errors += _windows(context.get("windowsOptions") or {}, f"{where}.windowsOptions")
    errors += _app_armor(context.get("appArmorProfile"), f"{where}.appArmorProfile")
    groups = context.get("supplementalGroupsPolicy")
    errors += chosen(groups, ("Merge", "Strict"), f"{where}.supplementalGroupsPolicy")
    change = context.get("seLinuxChangePolicy")
    return errors + chosen(change, ("Recursive",), f"{where}.seLinuxChangePolicy")


def _sysctls(spec: Object, sysctls: list[Object], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, item in enumerate(sysctls):
        where, name = f"{path}[{i}].name", item.get("name", "")
        dotted = name.replace("/", ".")
        if not name:
            errors.append(required(where))
        elif len(name) > names.MAX_SUBDOMAIN or not SYSCTL.fullmatch(name):
            errors.append(wrong(where, name, SYSCTL_SAYS))
        elif name in seen:
            errors.append(duplicate(where, name))
        if spec.get("hostNetwork") and dotted.startswith("net."):
            errors.append(wrong(where, name, "may not be specified when 'hostNetwork' is true"))
        elif spec.get("hostIPC") and IPC_SYSCTLS.match(dotted):
            errors.append(wrong(where, name, "may not be specified when 'hostIPC' is true"))
        seen.add(name)
    return errors


def check_host_users(spec: Object, path: str) -> list[FieldError]:
    """Users of its own, which exclude the namespaces of the host."""
    if spec.get("hostUsers") is not False:
        return []
    says = "when `hostUsers` is false"
    shown = {"hostNetwork": "hostNetwork", "hostPID": "HostPID", "hostIPC": "HostIPC"}
    errors = [denied(f"{path}.{word}", says) for name, word in shown.items() if spec.get(name)]
    for container, where in containers_of(spec, path):
        if container.get("volumeDevices"):
            errors.append(denied(f"{where}.volumeDevices", says))
    return errors


def check_host_process(spec: Object, path: str) -> list[FieldError]:
    """Windows containers that are processes of the host: all of them or none."""
    options = (spec.get("securityContext") or {}).get("windowsOptions") or {}
    whole = options.get("hostProcess")
    errors: list[FieldError] = []
    count = total = 0
    for container, where in containers_of(spec, path):
        context = container.get("securityContext") or {}
        own = (context.get("windowsOptions") or {}).get("hostProcess")
        if whole is not None and own is not None and whole != own:
            says = (
                "pod hostProcess value must be identical if both are specified, was "
                f"{str(whole).lower()}"
            )
            at = f"{where}.securityContext.windowsOptions.hostProcess"
            errors.append(wrong(at, own, says))
        total += 1
        count += bool(whole if own is None else own)
    if count and count != total:
        says = (
            "If pod contains any hostProcess containers then all containers must be "
            "HostProcess containers"
        )
        errors.append(wrong(path, "", says))
    if count and not spec.get("hostNetwork"):
        says = "hostNetwork must be true if pod contains any hostProcess containers"
        errors.append(wrong(f"{path}.hostNetwork", False, says))
    return errors


def check_os(spec: Object, path: str) -> list[FieldError]:
    """What does not exist on the operating system that the pod names."""
    if spec.get("os") is None:
        return []
    system, where = spec["os"].get("name", ""), f"{path}.securityContext"
    if not system:
        return [required(f"{path}.os.name")]
    if system not in SYSTEMS:
        return [listed(f"{path}.os", system, SYSTEMS)]
    pod = spec.get("securityContext") or {}
    errors: list[FieldError] = []
    says = "windows options cannot be set for a linux pod"
    own: tuple[str, ...] = ("windowsOptions",)
    theirs = own
    if system == "windows":
        says = "cannot be set for a windows pod"
        own, theirs = POD_NOT_ON_WINDOWS, NOT_ON_WINDOWS
        shared = [n for n in ("hostPID", "hostIPC") if spec.get(n)]
        shared += [n for n in ("hostUsers", "shareProcessNamespace") if n in spec]
        errors += [denied(f"{path}.{name}", says) for name in shared]
    errors += [denied(f"{where}.{k}", says) for k in own if k in pod]
    for container, at in containers_of(spec, path):
        context = container.get("securityContext") or {}
        errors += [denied(f"{at}.securityContext.{k}", says) for k in theirs if k in context]
    return errors
