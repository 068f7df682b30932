"""What to do about a cause: for a person a sentence, for a shell the command.

A command that lacks one of its facts is left out. Those that the provisioner's messages quote, made
for the very cluster, follow; nothing else that others wrote becomes part of a command unquoted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from string import Formatter

from kaito.why.chain import Fix
from kaito.why.rows import Row

# In the words of our own daemons; not what is left of one that was cut off.
_QUOTED = re.compile(r"`((?:az|kubectl|kaito) [^`]*[^`\s])`")
# In the words of kubelets: what a Pod names and is not there.
_MISSING = re.compile(
    r"\b(secret|configmap|persistentvolumeclaim) \"([a-z0-9.-]+)\" not found"
    r"|couldn't find key (\S+) in (Secret|ConfigMap) \S*?/([a-z0-9.-]+)",
    re.IGNORECASE,
)
# The same of a key, of whose Secret or ConfigMap kubelets do not give the name.
_KEYLESS = re.compile(r"references non-existent (secret|config) key: (\S*[^\s.])")
_CREATION = {
    "secret": "kubectl -n {ns} create secret generic {missing} --from-literal={key}=VALUE",
    "configmap": "kubectl -n {ns} create configmap {missing} --from-file=FILE",
    "persistentvolumeclaim": "kubectl -n {ns} get persistentvolumeclaims,storageclasses",
}
_REGISTRY_KEY = ".dockerconfigjson"
_REGISTRY = (
    "kubectl -n {ns} create secret docker-registry {missing} --docker-server=SERVER "
    "--docker-username=USER --docker-password=PASSWORD"
)
_SPELLED = {
    "secret": "Secret",
    "configmap": "ConfigMap",
    "persistentvolumeclaim": "PersistentVolumeClaim",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What fills the blanks of commands; what is not known is left out."""

    known: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    """What has to be in which Secret."""

    def filled(self, template: str) -> str | None:
        """The command, None when it names what is not known."""
        blanks = [name for _, name, _, _ in Formatter().parse(template) if name]
        if not all(self.known.get(name) for name in blanks):
            return None
        return template.format_map(self.known)


def fix(row: Row, facts: Facts, cause: str, *, ours: bool = False) -> Fix | None:
    """What to do, with the commands for this very case; None where there is nothing to do.

    `ours` says that the cause has the words of our own daemons, whose commands may be run: what a
    container or a webhook says may not.
    """
    lacking = _MISSING.search(cause)
    if lacking and not row.verdict.fine:
        return _creation(lacking, facts)
    keyless = _KEYLESS.search(cause)
    if keyless and not row.verdict.fine:
        return _addition(keyless, facts)
    if not row.what:
        return None
    made = (facts.filled(template) for template in row.commands)
    commands = dict.fromkeys([*(each for each in made if each), *(_quoted(cause) if ours else ())])
    return Fix(what=row.what, commands=tuple(commands))


def _creation(found: re.Match[str], facts: Facts) -> Fix:
    kind, name, key, holder, held_by = found.groups()
    if key:
        what, kind, name = f"Put the key {key} into the {holder} {held_by}", holder, held_by
        template = f"kubectl -n {{ns}} edit {kind.lower()} {{missing}}"
    else:
        what, template = f"Create the {_SPELLED[kind.lower()]} {name}", _CREATION[kind.lower()]
        key = facts.keys.get(name, "KEY")
        if kind.lower() == "secret" and key == _REGISTRY_KEY:
            template = _REGISTRY
    command = Facts({**facts.known, "missing": name, "key": key}).filled(template)
    return Fix(
        what=f"{what} in this namespace; the Pod starts by itself then.",
        commands=(command,) if command else (),
    )


def _addition(found: re.Match[str], facts: Facts) -> Fix:
    what, key = found.groups()
    kind = "Secret" if what == "secret" else "ConfigMap"
    holders = [name for name, held in facts.keys.items() if held == key and what == "secret"]
    edits = (
        Facts({**facts.known, "holder": name}).filled("kubectl -n {ns} edit secret {holder}")
        for name in holders
    )
    return Fix(
        what=f"Put the key {key} into the {kind} "
        f"{' or '.join(holders) or 'that the Pod mounts'}; the Pod starts by itself then.",
        commands=tuple(each for each in edits if each),
    )


def _quoted(message: str) -> Iterator[str]:
    """The commands that a message names."""
    yield from _QUOTED.findall(message)
