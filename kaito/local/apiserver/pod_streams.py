"""Logs of a pod, and the connections into it, of which this server refuses what a real one does.

Whoever runs the containers gives a reader of logs and a connector; without them a log is empty
and nothing can be connected to.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from kaito.local.apiserver import times
from kaito.local.apiserver.behaviours.podspec.security import containers_of
from kaito.local.apiserver.core import Call, Core
from kaito.local.apiserver.fields import FieldError, denied, wrong
from kaito.local.apiserver.http import Query, Response
from kaito.local.apiserver.status import bad_request, invalid, not_found

Object = dict[str, Any]
LogReader = Callable[[Call, str], Awaitable[Response]]
Connector = Callable[[Call, str], Response]
"""Connects a caller with a container, or with the pod where no container is named."""
CONNECTIONS = ("exec", "attach", "portforward")
NUMBERS = ("sinceSeconds", "tailLines", "limitBytes")
NOWHERE = "[]"  # how a server names the options as a whole


def check_options(query: Query, name: str) -> None:
    """Raises StatusError where the parameters of a log are wrong."""
    found: dict[str, int] = {}
    for part in NUMBERS:
        if part == "tailLines" and query.get("sinceTime"):
            try:
                times.parse(query.get("sinceTime"))
            except times.TimeError as error:
                raise bad_request(str(error)) from error
        if part in query:
            found[part] = whole(query.get(part))
    errors = list(_contradictions(found, query))
    if errors:
        raise invalid("", "PodLogOptions", name, errors)


def _contradictions(found: dict[str, int], query: Query) -> list[FieldError]:
    errors: list[FieldError] = []
    if found.get("tailLines", 0) < 0:
        says = "must be greater than or equal to 0"
        errors.append(wrong("tailLines", found["tailLines"], says))
    if found.get("limitBytes", 1) < 1:
        errors.append(wrong("limitBytes", found["limitBytes"], "must be greater than 0"))
    if "sinceSeconds" in found and query.get("sinceTime"):
        says = "at most one of `sinceTime` or `sinceSeconds` may be specified"
        errors.append(denied(NOWHERE, says))
    elif found.get("sinceSeconds", 1) < 1:
        errors.append(wrong("sinceSeconds", found["sinceSeconds"], "must be greater than 0"))
    if query.get("stream"):
        errors.append(denied("stream", "may not be specified"))
    return errors


def whole(text: str) -> int:
    """A whole number of 64 bits. Raises StatusError."""
    if not re.fullmatch(r"[+-]?[0-9]+", text, re.ASCII):
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if not -(2**63) <= int(text) < 2**63:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": value out of range')
    return int(text)


def container_name(pod: Object, wanted: str) -> str:
    """The container that is asked for, or the only one. Raises StatusError."""
    name, spec = pod["metadata"]["name"], pod["spec"]
    names = [c["name"] for c, _ in containers_of(spec, "")]
    if wanted:
        if wanted not in names:
            raise bad_request(f"container {wanted} is not valid for pod {name}")
        return wanted
    if len(spec["containers"]) > 1:
        raise bad_request(
            f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]"
        )
    return str(spec["containers"][0]["name"])


class PodStreams:
    """Serves pods/log, pods/exec, pods/attach and pods/portforward."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.reader: LogReader | None = None
        self.connector: Connector | None = None

    def _pod(self, call: Call) -> Object:
        record = self._core.record(call.kind, call.target.namespace, call.target.name)
        if record is None:
            raise not_found("", "pods", call.target.name)
        return call.kind.value(record)

    def _known_node(self, pod: Object) -> None:
        """Raises StatusError where nobody knows the pod's node."""
        nodes = self._core.kinds.get("", "v1", "nodes")
        assert nodes is not None
        if self._core.record(nodes, "", pod["spec"]["nodeName"]) is None:
            raise not_found("", "pods", pod["spec"]["nodeName"])

    async def log(self, call: Call) -> Response:
        """Raises StatusError."""
        check_options(call.query, call.target.name)
        pod = self._pod(call)
        container = container_name(pod, call.query.get("container"))
        if not pod["spec"].get("nodeName"):
            return Response(204)
        self._known_node(pod)
        if self.reader is None:
            return Response.text("")
        return await self.reader(call, container)

    def connect(self, call: Call) -> Response:
        """Raises StatusError, always where nobody connects."""
        pod, container = self._pod(call), ""
        if call.target.subresource != "portforward":
            container = container_name(pod, call.query.get("container"))
        if not pod["spec"].get("nodeName"):
            raise bad_request(f"pod {call.target.name} does not have a host assigned")
        self._known_node(pod)
        if self.connector is None or not call.request.headers.get("upgrade"):
            raise bad_request("Upgrade request required")
        return self.connector(call, container)
