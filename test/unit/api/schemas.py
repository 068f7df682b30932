"""Values that a structural schema accepts, for property tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

MOST = 3  # members of a generated list or map
TEXT = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)
JSON = st.recursive(
    st.booleans() | st.integers(-9, 9) | TEXT,
    lambda inner: st.lists(inner, max_size=MOST) | st.dictionaries(TEXT, inner, max_size=MOST),
    max_leaves=6,
)


def values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that fit; objects have all required members and some of the others."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return st.dictionaries(TEXT, JSON, max_size=MOST)
    if schema.get("x-kubernetes-int-or-string"):
        return st.integers(0, 9) | st.sampled_from(["1Gi", "500m", "0"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "object" if "properties" in schema:
            return _object(schema)
        case "object":
            inner = values(schema["additionalProperties"])
            return st.dictionaries(TEXT, inner, max_size=MOST)
        case "array":
            return st.lists(values(schema["items"]), max_size=MOST)
        case "integer":
            return st.integers(schema.get("minimum", -9), schema.get("maximum", 9))
        case "boolean":
            return st.booleans()
    if schema.get("format") == "date-time":
        return st.just("2026-01-01T00:00:00Z")
    shortest, longest = schema.get("minLength", 0), min(schema.get("maxLength", 8), 8)
    if "pattern" in schema:
        pattern = schema["pattern"].removeprefix("^").removesuffix("$")
        texts = st.from_regex(pattern, fullmatch=True)
        return texts.filter(lambda text: shortest <= len(text) <= longest)
    return st.text(min_size=shortest, max_size=longest)


def _object(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    required = set(schema.get("required", ()))
    members = {name: values(inner) for name, inner in schema["properties"].items()}
    return st.fixed_dictionaries(
        {name: made for name, made in members.items() if name in required},
        optional={name: made for name, made in members.items() if name not in required},
    )
