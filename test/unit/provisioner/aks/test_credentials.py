"""Why no token can be had is told in few and whole words."""

from __future__ import annotations

import pytest

pytest.importorskip("azure.core", reason="needs the azure extra")

from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import ClientAuthenticationError

from kaito.provisioner.aks.credentials import ATTEMPT_LENGTH, NoToken, Told


class Chain(AsyncTokenCredential):
    """Fails as Azure's chain does, with these attempts."""

    def __init__(self, *attempts: str) -> None:
        self.attempts = attempts

    async def get_token(self, *scopes: str, **kwargs: object) -> AccessToken:
        raise ClientAuthenticationError("Tried:\n" + "\n".join(f"\t{a}" for a in self.attempts))

    async def close(self) -> None:
        """Nothing is held open."""

    async def __aexit__(self, *exit_: object) -> None:
        """Nothing is held open."""


async def test_words_of_a_chain_of_credentials_are_not_cut_in_the_middle() -> None:
    words = ["Environment:", *["unconfigured"] * 20]
    with pytest.raises(NoToken) as caught:
        await Told(Chain(" ".join(words), "Tools: no login")).get_token("scope")
    [first, second] = caught.value.message.split("... ")
    assert second == "Tools: no login"
    assert first.split() == words[: len(first.split())]
    assert ATTEMPT_LENGTH - 20 < len(first) < ATTEMPT_LENGTH
