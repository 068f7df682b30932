"""How a server is told to reach a webhook: by a URL or through a service."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from kaito.local.apiserver import names
from kaito.local.apiserver.fields import FieldError, go_quote, required, wrong

Object = dict[str, Any]
FORM = "; desired format: https://host[/path]"
ONE_OF = "exactly one of url or service is required"


def config_faults(config: Object, path: str, whole: str) -> list[FieldError]:
    """Faults of a client configuration; `whole` is the field blamed for both or neither."""
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        return [required(whole, ONE_OF)]
    if url is not None:
        return url_faults(url, f"{path}.url")
    return service_faults(service or {}, f"{path}.service")


def url_faults(url: str, path: str) -> list[FieldError]:
    fault = _unparsable(url)
    if fault:
        return [required(path, f"url must be a valid URL: {fault}{FORM}")]
    found = urlsplit(url)
    user, _, host = found.netloc.rpartition("@")
    errors = []
    if found.scheme != "https":
        errors.append(wrong(path, found.scheme, f"'https' is the only allowed URL scheme{FORM}"))
    if not host:
        errors.append(wrong(path, host, f"host must be specified{FORM}"))
    for value, what in (
        (user, "user information is"),
        (found.fragment, "fragments are"),
        (found.query, "query parameters are"),
    ):
        if value:
            errors.append(wrong(path, value, f"{what} not permitted in the URL"))
    return errors


def _unparsable(url: str) -> str:
    head = f"parse {go_quote(url)}: "
    if re.search(r"[\x00-\x1f\x7f]", url):
        return f"{head}net/url: invalid control character in URL"
    if url.startswith(":"):
        return f"{head}missing protocol scheme"
    first = url.partition("/")[0]
    if ":" in first and not re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:", first):
        return f"{head}first path segment in URL cannot contain colon"
    port = re.match(r"[a-zA-Z]+://(?:[^/?#]*@)?(?:\[[^\]]*\]|[^/?#:]*)(:[^/?#]*)?", url)
    if port and port[1] and not re.fullmatch(r":\d*", port[1]):
        return f"{head}invalid port {go_quote(port[1])} after host"
    return ""


def service_faults(service: Object, path: str) -> list[FieldError]:
    # A server blames the name where the namespace is missing, and the other way round.
    blamed = {"name": "namespace", "namespace": "name"}
    errors = [required(f"{path}.{there}") for n, there in blamed.items() if not service.get(n)]
    port = service.get("port", 443)
    if not 1 <= port <= 65535:
        errors.append(
            wrong(
                f"{path}.port",
                port,
                "port is not valid: must be between 1 and 65535, inclusive",
            )
        )
    return errors + _path_faults(service.get("path") or "", f"{path}.path")


def _path_faults(text: str, path: str) -> list[FieldError]:
    if text in {"", "/"}:
        return []
    if text == "//":
        return [wrong(path, text, "segment[0] may not be empty")]
    errors = [] if text.startswith("/") else [wrong(path, text, "must start with a '/'")]
    for i, step in enumerate(text[1:].removesuffix("/").split("/")):
        if not step:
            errors.append(wrong(path, text, f"segment[{i}] may not be empty"))
        else:
            errors += [wrong(path, text, f"segment[{i}]: {f}") for f in names.subdomain(step)]
    return errors
