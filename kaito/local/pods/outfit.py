"""What a container is given before it starts: volumes, variables, names and a way to the API.

This is where a pod's strings become paths and arguments of this machine. Everything of a pod lies
under a directory named by its uid, which no client can choose.
"""

from __future__ import annotations

import re
import shutil
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from kaito.local.apiserver.quantity import value
from kaito.local.pods.accounts import Accounts
from kaito.local.pods.actions import container_port
from kaito.local.pods.containers import all_containers
from kaito.local.pods.downward import HERE, Downward
from kaito.local.pods.environment import ConfigError, Kind, Sources, environment, references
from kaito.local.pods.expansion import TooLong, expand
from kaito.local.pods.images import Program
from kaito.local.pods.launch import Launch, Ports
from kaito.local.pods.mounts import mounts
from kaito.local.pods.objects import Named, Objects
from kaito.local.pods.payload import File, Payload, VolumeError, publish
from kaito.local.pods.translation import Forward, Translation
from kaito.local.pods.volumes import Places, Volumes, named_by
from kaito.runtime import ApiError, Clock, Key, Object

ACCOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
MESSAGE_PATH = "/dev/termination-log"
MESSAGE_VARIABLE = "KAITO_TERMINATION_LOG"
"""Tells programs where that is on this machine."""
LOADED = re.compile(r"PATH$|PYTHON|LD_|DYLD_|SSL_CERT_")
"""Variables that say what a program loads, and whom it trusts."""


class Names(Protocol):
    """What programs are told of Services."""

    def in_namespace(self, namespace: str) -> Forward: ...

    def variables(self, namespace: str, *, links: bool) -> dict[str, str]: ...


@dataclass(frozen=True, slots=True)
class Api:
    """How a program reaches the API server of this cluster."""

    port: int
    ca_pem: str

    @property
    def url(self) -> str:
        return f"https://{HERE}:{self.port}"


@dataclass(frozen=True, slots=True)
class Wearer:
    """A container and the pod that it is of. `ports` are the pod's."""

    pod: Object
    node: Object
    container: Mapping[str, Any]
    program: Program
    ports: Ports


class Outfitter:
    """Makes launches. Pods, the disks of Nodes and claims lie under `directory`."""

    def __init__(
        self,
        *,
        objects: Objects,
        accounts: Accounts,
        names: Names,
        api: Api,
        clock: Clock,
        directory: Path,
    ) -> None:
        self._objects = objects
        self._accounts = accounts
        self._names = names
        self._api = api
        self._clock = clock
        self._directory = directory

    def home(self, uid: str) -> Path:
        """The directory of a pod."""
        return self._directory / "pods" / uid

    def homes(self) -> list[Path]:
        """The directories of all pods, of those that have gone, too."""
        top = self._directory / "pods"
        return list(top.iterdir()) if top.is_dir() else []

    def log(self, uid: str, container: str, restarts: int) -> Path:
        """The log of a run of a container."""
        return self.home(uid) / "logs" / container / f"{restarts}.log"

    async def launch(self, wearer: Wearer, restarts: int) -> Launch:
        """One start of a container, with everything that it refers to as it is now. Raises
        ConfigError or VolumeError; what `wanted` names must be held."""
        pod, container, program = wearer.pod, wearer.container, wearer.program
        metadata = pod["metadata"]
        namespace, uid, name = metadata["namespace"], metadata["uid"], container["name"]
        volumes = await self.set_up(pod, wearer.node)
        downward = _downward(pod, wearer.node)
        links = pod["spec"].get("enableServiceLinks", True)
        services = self._names.variables(namespace, links=links)
        variables = environment(container, Sources(downward, self._lookup(namespace), services))
        wearer.ports.renew(own_ports(container, program))
        directory = self.home(uid) / "containers" / name
        message = directory / "termination-log"
        paths = await self._account(pod) if program.own_commands else {}
        mounted = mounts(container, volumes, variables)
        paths |= mounted | _gathered(directory / "gathered", program.gathers, mounted)
        paths[container.get("terminationMessagePath") or MESSAGE_PATH] = message
        translation = Translation(paths, wearer.ports.local, self._names.in_namespace(namespace))
        told = self._environment(wearer, translation.variables(variables))
        told.setdefault(MESSAGE_VARIABLE, str(message))
        if ACCOUNT_PATH in paths:
            told.setdefault("KUBECONFIG", str(paths[ACCOUNT_PATH] / "kubeconfig"))
        memory = ((container.get("resources") or {}).get("limits") or {}).get("memory")
        return Launch(
            command=_command(wearer, variables, translation),
            variables=told,
            directory=translation.path(container.get("workingDir") or "") or directory,
            log=self.log(uid, name, restarts),
            message=message,
            memory=int(value(str(memory))) if memory and program.own_commands else None,
            translation=translation,
        )

    async def set_up(self, pod: Object, node: Object) -> dict[str, Path]:
        """Bring the volumes of a pod up to date; where each is. Raises VolumeError."""
        uid = pod["metadata"]["uid"]
        places = Places(
            pod=self.home(uid),
            node=self._directory / "nodes" / node["metadata"]["name"],
            claims=self._directory / "claims",
        )
        downward = _downward(pod, node)
        now = self._clock.now()
        volumes = Volumes(places, downward, self._objects.get, self._token, now)
        return await volumes.set_up()

    async def refresh(self, pod: Object, node: Object, *, own_commands: bool) -> None:
        """Bring everything up to date that lies in files. Raises VolumeError."""
        await self.set_up(pod, node)
        if own_commands:
            await self._account(pod)

    def _environment(self, wearer: Wearer, variables: dict[str, str]) -> dict[str, str]:
        if not wearer.program.own_commands:
            # It is to trust the registry of this cluster, and to load nothing of a pod's.
            kept = {name: text for name, text in variables.items() if not LOADED.match(name)}
            return {**kept, "SSL_CERT_FILE": str(self._trusted())}
        if port := _port(wearer):
            variables.setdefault("PORT", str(port))
        return variables

    def _trusted(self) -> Path:
        """A file with the authorities that this machine trusts, and the cluster's."""
        theirs = ssl.get_default_verify_paths().cafile
        texts = [Path(theirs).read_text() if theirs else "", self._api.ca_pem]
        place = self._directory / "trusted"
        publish(place, {"ca.crt": File("\n".join(texts).encode(), 0o600)}, self._clock.now())
        return place / "ca.crt"

    async def _token(self, pod: Object, audience: str, lasts: int | None) -> bytes:
        try:
            return await self._accounts.token(pod, audience, lasts)
        except ApiError as error:
            raise VolumeError(f"failed to fetch token: {error}") from error

    async def _account(self, pod: Object) -> dict[str, Path]:
        """The directory through which a program is the pod's ServiceAccount, by its path."""
        if pod["spec"].get("automountServiceAccountToken") is False:
            return {}
        directory = self.home(pod["metadata"]["uid"]) / "account"
        namespace = pod["metadata"]["namespace"]
        texts = {
            "ca.crt": self._api.ca_pem,
            "namespace": namespace,
            "kubeconfig": _kubeconfig(self._api.url, directory, namespace),
        }
        payload: Payload = {name: File(text.encode(), 0o600) for name, text in texts.items()}
        payload["token"] = File(await self._token(pod, "", None), 0o600)
        publish(directory, payload, self._clock.now())
        return {ACCOUNT_PATH: directory}

    def _lookup(self, namespace: str) -> Callable[[Kind, str], Object | None]:
        return lambda kind, name: self._objects.get((kind, Key(namespace, name)))


def wanted(pod: Object) -> list[Named]:
    """The objects that the containers and volumes of a pod refer to."""
    namespace = pod["metadata"]["namespace"]
    variables = references(all_containers(pod))
    return [*((kind, Key(namespace, name)) for kind, name in variables), *named_by(pod)]


def own_ports(container: Mapping[str, Any], program: Program) -> set[int]:
    """The container ports on which a program may be asked."""
    numbers = {each["containerPort"] for each in container.get("ports") or ()}
    hooks = (container.get("lifecycle") or {}).values()
    probes = (container.get(f"{kind}Probe") or {} for kind in ("startup", "liveness", "readiness"))
    for action in (*probes, *hooks):
        asked = action.get("httpGet") or action.get("tcpSocket")
        if asked:
            numbers.add(container_port(container, asked["port"]))
    return (numbers | {program.port}) - {0}


def _downward(pod: Object, node: Object) -> Downward:
    return Downward(pod, node.get("status", {}).get("allocatable") or {})


def _command(wearer: Wearer, variables: Mapping[str, str], translation: Translation) -> list[str]:
    """The command line. What stands in for an image gets the words of the pod as they are."""
    container, program = wearer.container, wearer.program
    try:
        spoken = {
            part: [expand(word, variables) for word in container.get(part) or ()]
            for part in ("command", "args")
        }
    except TooLong as error:
        raise ConfigError(str(error)) from error
    container = {**container, **spoken}
    words = program.words(container)
    if not program.own_commands and (stray := translation.stray(words)):
        raise ConfigError(f'no volume of the container holds "{stray}"')
    command = [
        *program.command(container, wearer.pod, _port(wearer)),
        *translation.words(words),
    ]
    if not command:
        image = container.get("image", "")
        raise ConfigError(f'no command is known for image "{image}": give the container one')
    if any("\0" in word for word in command):
        raise ConfigError("a word of the command holds a zero byte")
    return command


def _gathered(
    place: Path, directories: Iterable[str], mounted: Mapping[str, Path]
) -> dict[str, Path]:
    """Directories of the container, each with links to what is mounted right below it."""
    found = {}
    for directory in directories:
        there = place / directory.lstrip("/")
        shutil.rmtree(there, ignore_errors=True)
        there.mkdir(parents=True)
        for path, target in mounted.items():
            above, _, name = path.rpartition("/")
            if above == directory:
                (there / name).symlink_to(target)
        found[directory] = there
    return found


def _port(wearer: Wearer) -> int:
    """The local port for the container's first one, 0 when it has none."""
    declared = wearer.container.get("ports") or ({"containerPort": 0},)
    number = wearer.program.port or declared[0]["containerPort"]
    return wearer.ports.local.get(number, 0)


def _kubeconfig(url: str, directory: Path, namespace: str) -> str:
    """For clients that would look for the account where it is in a container."""
    cluster = {"server": url, "certificate-authority": str(directory / "ca.crt")}
    context = {"cluster": "pod", "user": "pod", "namespace": namespace}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "pod", "cluster": cluster}],
        "users": [{"name": "pod", "user": {"tokenFile": str(directory / "token")}}],
        "contexts": [{"name": "pod", "context": context}],
        "current-context": "pod",
    }
    return yaml.safe_dump(config, sort_keys=False)
