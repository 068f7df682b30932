"""A model of the Hugging Face hub, as it is at one commit.

The caller brings the function that gets a URL, with its token, redirects and time limits; this
module knows the hub's addresses and answers, and no HTTP client. One request tells the commit, the
files with their sizes, the licence and the access; one or two more read the configuration at that
commit, so that all figures describe the same files.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeAlias
from urllib.parse import quote

from kaito.catalog import checkpoint
from kaito.catalog.config import Config, ModelError, Unreadable, parse
from kaito.catalog.huggingface import model_of
from kaito.catalog.model import Access, Model

Get: TypeAlias = Callable[[str], Awaitable[tuple[int, bytes]]]
"""Gets a URL: the status and the body. Follows redirects; reads no more than LARGEST_ANSWER + 1
bytes of a body; raises TimeoutError when it waited too long and OSError when there is no way."""

HUB = "https://huggingface.co"
LARGEST_ANSWER = 16 * 1024**2  # bytes; the listing of ten thousand files has some 3 MiB
NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
COMMIT = re.compile(r"[0-9a-f]{40}")


class HubError(ModelError):
    """The hub did not give the model.

    HubError
    ├── NoSuchModel   there is none of that name or revision: correct it
    ├── NeedsToken    it is only for those who accepted its licence: bring their token
    ├── TryLater      too many requests, or the hub has trouble: ask again later
    ├── NoHub         what answers there is no hub: correct the address, or the proxy on the way
    └── Offline       there is no way to the hub: open one
    """


class NoSuchModel(HubError):
    """404, a name that is none, and what the hub says of strangers' private models."""


class NeedsToken(HubError):
    """401 or 403."""


class TryLater(HubError):
    """429, 5xx, too slow."""


class NoHub(HubError):
    """An answer that is not the hub's: a page of a proxy, or of another server."""


class Offline(HubError):
    """No connection."""


def is_model_name(name: str) -> bool:
    """Whether this can be the name of a model on the hub: organisation/model."""
    return NAME.fullmatch(name) is not None and ".." not in name and "--" not in name


async def read(
    name: str,
    get: Get,
    *,
    date: datetime.date,
    revision: str = "main",
    token: bool = False,
    hub: str = HUB,
) -> Model:
    """The model org/model at a branch, a tag or a commit; its `revision` is the commit.

    It has the name that it has on the hub today, and the name that was asked for as an alias where
    that is another: the repository was renamed. `token`: whether `get` sends one, for the sake of
    the messages. Raises HubError, and Unreadable for a model that the engine does not run or that
    has no weights.
    """
    if not is_model_name(name):
        raise NoSuchModel(
            f"{name[:200]} is no name of a model on Hugging Face: it must be organisation/model."
        )
    ask = _Asking(name, get, token, hub)
    asked = quote(revision, safe="")
    answer = await ask(f"{hub}/api/models/{name}/revision/{asked}?blobs=true")
    try:
        info = parse(name, answer)
    except Unreadable as error:
        raise ask.no_hub() from error
    commit, proper = info.text("sha") or "", info.text("id", "modelId") or name
    if not COMMIT.fullmatch(commit) or not NAME.fullmatch(proper):
        raise ask.no_hub()
    files = _files(info)
    found = checkpoint.weights(files)
    configs = [file for file in (checkpoint.CONFIG, checkpoint.PARAMS) if file in files]
    if found is None or not configs:
        lacks = "no weights (.safetensors or .bin)" if found is None else "no config.json"
        raise Unreadable(f"{proper} has {lacks} in its top folder: name a model that has.")

    async def content(file: str) -> bytes:
        return await ask(f"{hub}/{proper}/resolve/{commit}/{file}")

    quantization = checkpoint.QUANTIZATION if checkpoint.QUANTIZATION in files else None
    config = checkpoint.config_of(
        proper,
        await content(configs[0]),
        None if quantization is None else await content(quantization),
    )
    model = model_of(
        proper,
        config.fields,
        source=f"{hub}/{proper}/tree/{commit}",
        weights_bytes=found.bytes,
        parameters=info.section("safetensors").number("total"),
        revision=commit,
        date=date,
        access=_access(info),
        license=_license(info),
        mistral_format=found.mistral_format,
    )
    return model if proper.lower() == name.lower() else replace(model, aliases=(name.lower(),))


@dataclass(frozen=True, slots=True)
class _Asking:
    """One model's requests, with its answers that are none turned into sentences."""

    name: str
    get: Get
    token: bool
    hub: str

    async def __call__(self, url: str) -> bytes:
        try:
            status, body = await self.get(url)
        except TimeoutError as error:
            raise TryLater(
                f"{self.hub} does not answer for {self.name} in time: ask again later."
            ) from error
        except OSError as error:
            raise Offline(
                f"There is no way to {self.hub} from here, so {self.name} cannot be read: open "
                "one, or name a model of the catalogue."
            ) from error
        if len(body) > LARGEST_ANSWER:
            raise Unreadable(
                f"Hugging Face answers for {self.name} with more than "
                f"{LARGEST_ANSWER // 1024**2} MiB, which no model needs: name another one."
            )
        # A page: the hub has none at these addresses, and its trouble is told by its status.
        if body.lstrip()[:1] == b"<" and status < 500 and status != 429:
            raise self.no_hub()
        if status == 200:
            return body
        raise self._refused(status)

    def no_hub(self) -> NoHub:
        """What to raise for an answer that is not a hub's."""
        return NoHub(
            f"{self.hub} does not answer for {self.name} as Hugging Face does: correct the address "
            "or the proxy on the way."
        )

    def _refused(self, status: int) -> HubError:
        match status:
            case 401 | 403 if self.token:
                return NeedsToken(
                    f"The token does not open {self.name} ({status}): check the name, and accept "
                    f"its licence on {HUB}/{self.name} with the account of the token."
                )
            case 401 | 403:
                return NeedsToken(
                    f"{self.name} is not open to everybody, or not there ({status}): check the "
                    "name, or set HF_TOKEN to a token of an account that accepted its licence on "
                    f"{HUB}/{self.name}."
                )
            case 404:
                return NoSuchModel(
                    f"{self.name} is not on Hugging Face, or not at that revision: check both."
                )
            case 429:
                return TryLater(
                    f"Hugging Face has had too many requests from here to read {self.name} (429): "
                    "ask again in some minutes, or with a token."
                )
            case _:
                return TryLater(
                    f"Hugging Face answers for {self.name} with {status}: ask again later."
                )


def _files(info: Config) -> dict[str, int]:
    """Paths and sizes in bytes."""
    files = {}
    for sibling in info.sections("siblings"):
        path, size = sibling.text("rfilename"), sibling.number("size", least=0)
        if path is not None:
            files[path] = size or 0
    return files


def _access(info: Config) -> Access | None:
    gated = info.fields.get("gated")
    if gated is None:
        return None
    return "gated" if gated else "open"


def _license(info: Config) -> str | None:
    card = info.section("cardData")
    if not card.is_text("license"):
        return None
    told = card.text("license")
    return (card.text("license_name") if card.is_text("license_name") else None) or told
