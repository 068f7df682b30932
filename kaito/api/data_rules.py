"""The rules of data: where adapters and training sets come from, and where results go.

What CEL can say is said in CEL. Addresses are looked at by Python alone, here as they are
written; what a name resolves to is looked at by who downloads.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from pydantic import JsonValue

from kaito.api.rules import Rule

# What examples leave for the reader to fill in: ACR_REPO_HERE, <your-registry>, ${REGISTRY}.
PLACEHOLDER = r"([A-Z0-9]+_)+HERE|YOUR[-_]|<[^>]*>|[$][{]"

# github.com/distribution/reference: [domain/]path[:tag][@digest].
_LABEL = r"[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?"
_PART = r"[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*"
IMAGE = (
    rf"^({_LABEL}([.]{_LABEL})*(:[0-9]+)?/)?{_PART}(/{_PART})*"
    r"(:[A-Za-z0-9_][-A-Za-z0-9_.]{0,127})?"
    r"(@[A-Za-z][A-Za-z0-9]*([-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?$"
)
URL = r"^[hH][tT][tT][pP][sS]?://([A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\])(:[0-9]+)?([/?#].*)?$"
# RFC 1123 subdomain: the name becomes part of volume and directory names.
NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
# A decimal from 0 to 1.
STRENGTH = r"^(0?[.][0-9]+|0[.]?|1([.]0*)?)$"

# Names of addresses that lead into the cluster or the cloud's own services.
INSIDE = ("localhost", "metadata", "kubernetes")
# Azure's own services for virtual machines, at an address that looks public.
WIRE_SERVER = ipaddress.ip_address("168.63.129.16")


def image_rules(path: str) -> tuple[Rule, ...]:
    """The rules of an image reference at `path`; "" is none at all."""
    return (
        Rule(
            path=path,
            cel=f"!self.matches(r'{PLACEHOLDER}')",
            holds=lambda v: not _placeholder(v),
            message=f"{path} still holds the placeholder of an example: write your own registry "
            "and repository there.",
        ),
        Rule(
            path=path,
            cel=f"self == '' || self.matches(r'{PLACEHOLDER}') || self.matches(r'{IMAGE}')",
            holds=lambda v: v == "" or _placeholder(v) or _matches(IMAGE, v),
            message=f"{path} is no image reference: write registry/repository:tag, the repository "
            "in lower case.",
        ),
    )


ADAPTER_RULES: tuple[Rule, ...] = (
    Rule(
        path="inference.adapters[]",
        cel="has(self.source)",
        holds=lambda v: _has(v, "source"),
        message="inference.adapters[].source is not set: name the adapter there, and the image or "
        "volume it comes from.",
    ),
    Rule(
        path="inference.adapters",
        cel="self.all(a, !has(a.source) || !has(a.source.name) "
        "|| self.exists_one(b, has(b.source) && has(b.source.name) "
        "&& a.source.name == b.source.name))",
        holds=lambda v: _distinct(_names(v)),
        message="inference.adapters has two adapters of one name: give each source.name once.",
    ),
    Rule(
        path="inference.adapters[].source",
        cel=f"has(self.name) && self.name.matches(r'{NAME}')",
        holds=lambda v: _matches(NAME, _field(v, "name")),
        message="inference.adapters[].source.name must be lower-case letters, digits, '-' and '.', "
        "and begin and end with a letter or digit: requests name the adapter by it.",
    ),
    Rule(
        path="inference.adapters[].source",
        cel="!has(self.urls) || self.urls.size() == 0",
        holds=lambda v: not _field(v, "urls"),
        message="inference.adapters[].source.urls cannot be used: adapters come from image or "
        "volumeSource.",
    ),
    Rule(
        path="inference.adapters[].source",
        cel="(has(self.image) && self.image != '') != has(self.volumeSource)",
        holds=lambda v: bool(_field(v, "image")) != _has(v, "volumeSource"),
        message="inference.adapters[].source must have exactly one of image and volumeSource.",
    ),
    *image_rules("inference.adapters[].source.image"),
    Rule(
        path="inference.adapters[].strength",
        cel=f"self == '' || self.matches(r'{STRENGTH}')",
        holds=lambda v: v == "" or _matches(STRENGTH, v),
        message="inference.adapters[].strength must be a number from 0 to 1 in quotes, such as "
        '"0.5".',
    ),
)

DATA_RULES: tuple[Rule, ...] = (
    Rule(
        path="tuning.input",
        cel="(has(self.urls) && self.urls.size() > 0 ? 1 : 0) "
        "+ (has(self.image) && self.image != '' ? 1 : 0) "
        "+ (has(self.volumeSource) ? 1 : 0) == 1",
        holds=lambda v: _sources(v) == 1,
        message="tuning.input must have exactly one of urls, image and volumeSource.",
    ),
    Rule(
        path="tuning.input.urls[]",
        cel=f"!self.matches(r'{PLACEHOLDER}')",
        holds=lambda v: not _placeholder(v),
        message="tuning.input.urls still holds the placeholder of an example: write the address "
        "of your data there.",
    ),
    Rule(
        path="tuning.input.urls[]",
        cel=f"self.matches(r'{PLACEHOLDER}') || self.matches(r'{URL}')",
        holds=lambda v: _placeholder(v) or _matches(URL, v),
        message="tuning.input.urls must be http or https links without a user name or password.",
    ),
    Rule(
        path="tuning.input.urls[]",
        cel=None,
        holds=lambda v: not _matches(URL, v) or not leads_inside(str(v)),
        message="tuning.input.urls leads to an address inside the cluster or the cloud's network: "
        "put the data where it can be reached publicly, or use image or volumeSource.",
    ),
    *image_rules("tuning.input.image"),
    Rule(
        path="tuning.output",
        cel="(has(self.image) && self.image != '') != has(self.volumeSource)",
        holds=lambda v: bool(_field(v, "image")) != _has(v, "volumeSource"),
        message="tuning.output must have exactly one of image and volumeSource.",
    ),
    *image_rules("tuning.output.image"),
    Rule(
        path="tuning.output",
        cel="!has(self.image) || self.image == '' "
        "|| (has(self.imagePushSecret) && self.imagePushSecret != '')",
        holds=lambda v: not _field(v, "image") or bool(_field(v, "imagePushSecret")),
        message="tuning.output.imagePushSecret is not set: create a Secret with the registry's "
        "credentials (kubectl create secret docker-registry) and name it there.",
    ),
)


def leads_inside(url: str) -> bool:
    """Whether a URL, as it is written, names an address that no public data is at.

    Loopback, private, link-local and other special addresses in any spelling that resolvers take
    (decimal, octal and hexadecimal numbers too), and names of the cluster and of metadata services.
    """
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    if host in INSIDE or host.endswith((".localhost", ".local", ".internal", ".svc")):
        return True
    address = _address(host)
    return address is not None and (not address.is_global or address == WIRE_SERVER)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return _number_address(host)
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _number_address(host: str) -> ipaddress.IPv4Address | None:
    """An IPv4 address as inet_aton takes it: one to four numbers, the last one filling up."""
    parts = host.split(".")
    if len(parts) > 4 or not all(re.fullmatch(r"0x[0-9a-f]+|[0-9]+", part) for part in parts):
        return None
    try:
        *first, last = [
            int(part, 16 if part.startswith("0x") else 8 if part.startswith("0") else 10)
            for part in parts
        ]
        value = last + sum(number << 8 * (3 - place) for place, number in enumerate(first))
        return ipaddress.IPv4Address(value)
    except ValueError:
        return None


def _placeholder(value: JsonValue) -> bool:
    return isinstance(value, str) and re.search(PLACEHOLDER, value) is not None


def _matches(pattern: str, value: JsonValue) -> bool:
    # CEL's $ is the end of the text and its . is no line break; so they are here.
    whole = pattern.removeprefix("^").removesuffix("$")
    return isinstance(value, str) and re.fullmatch(whole, value) is not None


def _has(value: JsonValue, key: str) -> bool:
    return isinstance(value, Mapping) and value.get(key) is not None


def _field(value: JsonValue, key: str) -> JsonValue:
    return value.get(key) if isinstance(value, Mapping) else None


def _sources(value: JsonValue) -> int:
    given = (_field(value, "urls"), _field(value, "image"), _has(value, "volumeSource"))
    return sum(bool(each) for each in given)


def _names(value: JsonValue) -> list[str]:
    sources = [_field(a, "source") for a in value] if isinstance(value, list) else []
    return [name for name in (_field(s, "name") for s in sources) if isinstance(name, str)]


def _distinct(names: Sequence[str]) -> bool:
    return len(names) == len(set(names))
