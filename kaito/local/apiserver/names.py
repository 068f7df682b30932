"""Names, labels and qualified keys: what the API accepts, and the sentences it refuses with."""

from __future__ import annotations

import re

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
WILDCARD = re.compile(r"\*\." + SUBDOMAIN.pattern)
QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
MAX_LABEL = 63
MAX_SUBDOMAIN = 253

_SUBDOMAIN_SAYS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_WILDCARD_SAYS = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which "
    "must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric "
    "character (e.g. '*.example.com', regex used for validation is "
    f"'{WILDCARD.pattern}')"
)
_LABEL_SAYS = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_LABEL_1035_SAYS = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
    "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_NAME_PART_SAYS = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_QUALIFIED_SAYS = (
    "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex "
    "used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS "
    "subdomain prefix and '/' (e.g. 'example.com/MyName')"
)
_VALUE_SAYS = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  "
    "or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


def too_long(limit: int) -> str:
    return f"must be no more than {limit} characters"


def bytes_too_long(limit: int) -> str:
    return f"must be no more than {limit} bytes"


def subdomain(text: str) -> list[str]:
    faults = [] if len(text) <= MAX_SUBDOMAIN else [too_long(MAX_SUBDOMAIN)]
    return faults if SUBDOMAIN.fullmatch(text) else [*faults, _SUBDOMAIN_SAYS]


def label(text: str) -> list[str]:
    faults = [] if len(text) <= MAX_LABEL else [too_long(MAX_LABEL)]
    if LABEL.fullmatch(text):
        return faults
    return [*faults, "must not contain dots" if SUBDOMAIN.fullmatch(text) else _LABEL_SAYS]


def label_1035(text: str) -> list[str]:
    faults = [] if len(text) <= MAX_LABEL else [too_long(MAX_LABEL)]
    return faults if LABEL_1035.fullmatch(text) else [*faults, _LABEL_1035_SAYS]


def wildcard(text: str) -> list[str]:
    """A subdomain whose first label is any."""
    faults = [] if len(text) <= MAX_SUBDOMAIN else [too_long(MAX_SUBDOMAIN)]
    return faults if WILDCARD.fullmatch(text) else [*faults, _WILDCARD_SAYS]


def path_segment(text: str) -> list[str]:
    if text in {".", ".."}:
        return [f"may not be '{text}'"]
    return [f"may not contain '{c}'" for c in "/%" if c in text]


def qualified(text: str) -> list[str]:
    """A name with an optional prefix, as keys of labels have it; lengths are counted in bytes."""
    parts = text.split("/")
    faults: list[str] = []
    if len(parts) == 2:
        prefix, name = parts
        if not prefix:
            faults.append("prefix part must be non-empty")
        else:
            long, short = too_long(MAX_SUBDOMAIN), bytes_too_long(MAX_SUBDOMAIN)
            faults += ["prefix part " + f.replace(long, short) for f in subdomain(prefix)]
    elif len(parts) == 1:
        name = parts[0]
    else:
        return [_QUALIFIED_SAYS]
    if not name:
        faults.append("name part must be non-empty")
    elif len(name) > MAX_LABEL:
        faults.append(f"name part {bytes_too_long(MAX_LABEL)}")
    if not QUALIFIED.fullmatch(name):
        faults.append(_NAME_PART_SAYS)
    return faults


def label_value(text: str) -> list[str]:
    faults = [] if len(text) <= MAX_LABEL else [bytes_too_long(MAX_LABEL)]
    return faults if VALUE.fullmatch(text) else [*faults, _VALUE_SAYS]


def anything(text: str) -> list[str]:
    return []


RULES = {
    "any": anything,
    "subdomain": subdomain,
    "label": label,
    "label1035": label_1035,
    "segment": path_segment,
}


def name_faults(rule: str, text: str, *, prefix: bool = False) -> list[str]:
    """What a kind's naming rule says of a name, or of a generateName prefix."""
    if prefix and text.endswith("-"):
        text = text[:-1] + "a"
    return RULES[rule](text)
