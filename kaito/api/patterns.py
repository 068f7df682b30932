"""What strings must look like, as expressions that the API server and Python read the same way.

Each stands between `^` and `$` and is about the whole string. Python tries out in turn what the API
server tries at once: so none of them has two ways to read one text, and the steps that they take
grow with its length and no faster.
"""

from __future__ import annotations

import re
from functools import cache

_WORD = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_DOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*"

# RFC 1035: what a Service, which takes a Workspace's name, may be called.
SERVICE = "^[a-z]([-a-z0-9]*[a-z0-9])?$"
# RFC 1123 subdomain: what most objects may be called.
NAME = f"^{_DOMAIN}$"
LABEL_KEY = f"^({_DOMAIN}/)?{_WORD}$"
LABEL_VALUE = f"^({_WORD})?$"

# github.com/distribution/reference: [domain/]path[:tag][@digest].
_LABEL = r"[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?"
_PART = r"[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*"
IMAGE = (
    rf"^({_LABEL}([.]{_LABEL})*(:[0-9]+)?/)?{_PART}(/{_PART})*"
    r"(:[A-Za-z0-9_][-A-Za-z0-9_.]{0,127})?"
    r"(@[A-Za-z][A-Za-z0-9]*([-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?$"
)
# A server counts what an expression could cost by its length, so this one is short.
URL = r"^[hH][tT]{2}[pP][sS]?://([\w.-]+|\[[\da-fA-F:.]+\])(:\d+)?([/?#][^\0- ]*)?$"
# A decimal as people write it, that fits a double; its bounds are the rules' matter.
DECIMAL = r"^[-+]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE]([+]?[0-9]{1,2}|-[0-9]+))?$"

# What examples leave for the reader to fill in: ACR_REPO_HERE, <your-registry>, ${REGISTRY}. As a
# part of an image no such word is valid; a part of a URL may well be called START_HERE.
_BRACED = r"<[^<>/?#]*>|[$][{][^{}/?#]*[}]"
_IN_IMAGE = rf"([A-Z0-9_]+_HERE|YOUR_[A-Z0-9_]*|{_BRACED})"
_IN_URL = rf"(([A-Z\d]+_){{2,}}HERE|{_BRACED})"
IMAGE_PLACEHOLDER = rf"^([\s\S]*/)?{_IN_IMAGE}([/.:@][\s\S]*)?$"
URL_PLACEHOLDER = rf"^([^?#]*/)?{_IN_URL}([/?#:][\s\S]*)?$"


def matches(pattern: str, value: object) -> bool:
    """Whether a value is a string that a pattern describes."""
    return isinstance(value, str) and _compiled(pattern).fullmatch(value) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    # As the API server has it, \w is ASCII, and $ stands at the end and not before a line break.
    return re.compile(pattern.removeprefix("^").removesuffix("$"), re.ASCII)
