"""The rules of data: where adapters and training sets come from, and where results go.

What CEL can say is said in CEL. Addresses are looked at by Python alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

from kaito.api.addresses import is_address, leads_inside
from kaito.api.patterns import DECIMAL, NAME, URL, URL_PLACEHOLDER, matches
from kaito.api.references import image_rules, name_rule
from kaito.api.rules import Rule, has, part

SOURCE = "inference.adapters[].source"
STRENGTH = "inference.adapters[].strength"
INPUT, OUTPUT = "tuning.input", "tuning.output"
URLS = f"{INPUT}.urls[]"
# Volumes that Kubernetes mounts read-only, whatever is asked for.
READ_ONLY = ("configMap", "downwardAPI", "image", "projected", "secret")

_FROM_ELSEWHERE = Rule(
    path=SOURCE,
    field="urls",
    cel="!has(self.urls) || self.urls.size() == 0",
    holds=lambda v: not part(v, "urls"),
    message=f"{SOURCE}.urls cannot be used: adapters come from image or volumeSource.",
)
_FILLED_IN = Rule(
    path=URLS,
    cel=f"!self.matches(r'{URL_PLACEHOLDER}')",
    holds=lambda v: not matches(URL_PLACEHOLDER, v),
    message=f"{URLS} still holds the placeholder of an example: write the address of your data "
    "there.",
)
_LINK = Rule(
    path=URLS,
    cel=f"self.matches(r'{URL}')",
    holds=lambda v: matches(URL, v),
    message=f"{URLS} must be an http or https link without spaces, user name or password.",
    presumes=_FILLED_IN,
)
_ADDRESS = Rule(
    path=URLS,
    cel=None,
    holds=lambda v: is_address(str(v)),
    message=f"{URLS} names no host or port that can exist: write an address as a browser takes it.",
    presumes=_LINK,
)

ADAPTER_RULES: tuple[Rule, ...] = (
    Rule(
        path="inference.adapters[]",
        field="source",
        cel="has(self.source)",
        holds=lambda v: has(v, "source"),
        message=f"{SOURCE} is not set: name the adapter there, and the image or volume it comes "
        "from.",
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
        path=SOURCE,
        field="name",
        cel=f"has(self.name) && self.name.matches(r'{NAME}')",
        holds=lambda v: matches(NAME, part(v, "name")),
        message=f"{SOURCE}.name must be lower-case letters, digits, '-' and '.', and begin and end "
        "with a letter or digit: requests name the adapter by it.",
    ),
    _FROM_ELSEWHERE,
    Rule(
        path=SOURCE,
        cel="(has(self.image) && self.image != '') != has(self.volumeSource)",
        holds=lambda v: bool(part(v, "image")) != has(v, "volumeSource"),
        message=f"{SOURCE} must have exactly one of image and volumeSource.",
        presumes=_FROM_ELSEWHERE,
    ),
    *image_rules(f"{SOURCE}.image"),
    name_rule(f"{SOURCE}.imagePullSecrets[]", "Secret"),
    Rule(
        path=STRENGTH,
        cel=f"self == '' || (self.matches(r'{DECIMAL}') "
        "&& double(self) >= 0.0 && double(self) <= 1.0)",
        holds=lambda v: v == "" or (matches(DECIMAL, v) and 0 <= float(str(v)) <= 1),
        message=f'{STRENGTH} must be a number from 0 to 1 in quotes, such as "0.5".',
    ),
)

DATA_RULES: tuple[Rule, ...] = (
    Rule(
        path=INPUT,
        cel="(has(self.urls) && self.urls.size() > 0 ? 1 : 0) "
        "+ (has(self.image) && self.image != '' ? 1 : 0) "
        "+ (has(self.volumeSource) ? 1 : 0) == 1",
        holds=lambda v: _sources(v) == 1,
        message=f"{INPUT} must have exactly one of urls, image and volumeSource.",
    ),
    _FILLED_IN,
    _LINK,
    _ADDRESS,
    Rule(
        path=URLS,
        cel=None,
        holds=lambda v: not leads_inside(str(v)),
        message=f"{URLS} leads to an address inside the cluster or the cloud's network: put the "
        "data where it can be reached publicly, or use image or volumeSource.",
        presumes=_ADDRESS,
    ),
    *image_rules(f"{INPUT}.image"),
    name_rule(f"{INPUT}.imagePullSecrets[]", "Secret"),
    Rule(
        path=OUTPUT,
        cel="(has(self.image) && self.image != '') != has(self.volumeSource)",
        holds=lambda v: bool(part(v, "image")) != has(v, "volumeSource"),
        message=f"{OUTPUT} must have exactly one of image and volumeSource.",
    ),
    *image_rules(f"{OUTPUT}.image"),
    Rule(
        path=f"{OUTPUT}.image",
        cel="!self.contains('@')",
        holds=lambda v: "@" not in str(v),
        message=f"{OUTPUT}.image has a digest, which is known once the result is pushed: name a "
        "tag instead.",
    ),
    Rule(
        path=f"{OUTPUT}.volumeSource",
        cel=None,
        holds=lambda v: not any(has(v, kind) for kind in READ_ONLY),
        message=f"{OUTPUT}.volumeSource is of a kind that cannot be written to: take a "
        "persistentVolumeClaim, or output.image.",
    ),
    name_rule(f"{OUTPUT}.imagePushSecret", "Secret"),
    Rule(
        path=OUTPUT,
        field="imagePushSecret",
        cel="!has(self.image) || self.image == '' "
        "|| (has(self.imagePushSecret) && self.imagePushSecret != '')",
        holds=lambda v: not part(v, "image") or bool(part(v, "imagePushSecret")),
        message=f"{OUTPUT}.imagePushSecret is not set: create a Secret with the registry's "
        "credentials (kubectl create secret docker-registry) and name it there.",
    ),
)


def _sources(value: JsonValue) -> int:
    given = (part(value, "urls"), part(value, "image"), has(value, "volumeSource"))
    return sum(bool(each) for each in given)


def _names(value: JsonValue) -> list[str]:
    names = [part(a, "source.name") for a in value] if isinstance(value, list) else []
    return [name for name in names if isinstance(name, str)]


def _distinct(names: Sequence[str]) -> bool:
    return len(names) == len(set(names))
