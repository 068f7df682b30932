"""Why a model cannot be had, in a sentence for who asked for it. Pure.

Errors are told by the names of their types, so that no client of a hub is imported to name one.
"""

from __future__ import annotations

from collections.abc import Iterator

LONGEST = 300  # characters of a library's own words


def refusal(error: BaseException, model: str, *, token: bool) -> str:
    """What Hugging Face said no for, "" when it did not; `token` is whether it was shown one."""
    causes = list(chain(error))
    kinds = {kind for each in causes for kind in kinds_of(each)}
    # A gated one is a kind of one that is not found, and what libraries write of either names both.
    if "GatedRepoError" in kinds:
        why = "the token in HF_TOKEN has no access to it" if token else "HF_TOKEN is not set"
        return (
            f"{model} is gated on Hugging Face, and {why}: ask for access there, and name a "
            "Secret with HF_TOKEN in presetOptions.modelAccessSecret."
        )
    if "RepositoryNotFoundError" in kinds:
        return (
            f"Hugging Face has no model {model}, or HF_TOKEN has no access to it: look at the "
            "name, and at presetOptions.modelAccessSecret."
        )
    if "RevisionNotFoundError" in kinds:
        return f"Hugging Face has the model {model}, but not the revision that was asked for."
    return ""


def unreachable(error: BaseException) -> bool:
    """Whether a hub did not answer, or could not, which another time it may."""
    for each in chain(error):
        status = getattr(getattr(each, "response", None), "status_code", 0) or 0
        silent = {"ConnectionError", "ConnectError", "Timeout", "TimeoutException"}
        if kinds_of(each) & silent or status == 429 or status >= 500:
            return True
    return False


def kinds_of(error: BaseException) -> set[str]:
    """The names of its types."""
    return {kind.__name__ for kind in type(error).__mro__}


def first_line(error: BaseException) -> str:
    """A library's own words, short and without an end."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and what it came of."""
    seen: list[BaseException] = []
    now: BaseException | None = error
    while now is not None and now not in seen:
        seen.append(now)
        yield now
        now = now.__cause__ or now.__context__
