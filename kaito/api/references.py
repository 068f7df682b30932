"""The rules of references: to images in registries, and to other objects by their names."""

from __future__ import annotations

from kaito.api.patterns import IMAGE, IMAGE_PLACEHOLDER, NAME, matches
from kaito.api.rules import Rule


def image_rules(path: str) -> tuple[Rule, ...]:
    """The rules of an image reference at `path`; "" is none at all."""
    filled_in = Rule(
        path=path,
        cel=f"!self.matches(r'{IMAGE_PLACEHOLDER}')",
        holds=lambda v: not matches(IMAGE_PLACEHOLDER, v),
        message=f"{path} still holds the placeholder of an example: write your own registry "
        "and repository there.",
    )
    return (
        filled_in,
        Rule(
            path=path,
            cel=f"self == '' || self.matches(r'{IMAGE}')",
            holds=lambda v: v == "" or matches(IMAGE, v),
            message=f"{path} is no image reference: write registry/repository:tag, the repository "
            "in lower case.",
            presumes=filled_in,
        ),
    )


def name_rule(path: str, kind: str) -> Rule:
    """The rule that `path` is what an object of this kind may be called; "" is none, but in a
    list."""
    needed = path.endswith("[]")
    return Rule(
        path=path,
        cel=f"self.matches(r'{NAME}')" if needed else f"self == '' || self.matches(r'{NAME}')",
        holds=lambda v: (v == "" and not needed) or matches(NAME, v),
        message=f"{path} must be the name of a {kind}: lower-case letters, digits, '-' and '.', "
        "with a letter or digit at both ends and around each '.'.",
    )
