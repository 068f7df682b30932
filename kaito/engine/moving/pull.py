"""An image or artifact from a registry into a directory: verified, and whole or not at all."""

from __future__ import annotations

import platform
import re
import shutil
import ssl
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from kaito.engine.endings import Ended, Ending
from kaito.engine.moving import room
from kaito.engine.moving.accounts import Account, accounts
from kaito.engine.moving.archive import is_archive
from kaito.engine.moving.manifest import ACCEPTED, LARGEST, Image, Part, digest_of, read
from kaito.engine.moving.patience import Patience
from kaito.engine.moving.promises import digest
from kaito.engine.moving.record import HIDDEN
from kaito.engine.moving.reference import Reference, parse
from kaito.engine.moving.registry import Refusal, Registry, unavailable
from kaito.engine.moving.tree import Tree
from kaito.engine.moving.trust import trust

DATA = "data"
"""Images made for it have their files there: docker/adapter.Dockerfile, and what push makes."""
DEEPEST = 3  # indexes within indexes
RANGE = re.compile(r"bytes (\d+)-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """What is pulled, as whom, and where to."""

    reference: str
    to: Path
    auth: Sequence[Path] = ()
    """Docker configurations, tried one after the other, then nobody in particular."""
    limit: int | None = None
    """Bytes of all files together; None for as much as fits."""
    models: Sequence[str] = ()
    """The names of the model that an adapter is to be of; none where it is no adapter."""
    patience: Patience = field(default_factory=Patience)
    tls: ssl.SSLContext = field(default_factory=trust)
    machine: str = field(default_factory=platform.machine)
    free: Callable[[Path], int] = room.free

    def run(self) -> None:
        """Ended when it cannot be had."""
        try:
            reference = parse(self.reference)
            known = accounts(self.auth, reference)
        except ValueError as error:
            raise Ended(
                Ending.CONFIG_INVALID,
                f"{self.reference[:300]} cannot be pulled, as {error}: correct it.",
            ) from error
        refusals: list[Refusal] = []
        for account in [*known, None]:
            with closing(Registry(reference, account, self.tls)) as registry:
                try:
                    Pulling(self, reference, registry).run()
                except Refusal as refusal:
                    refusals.append(refusal)
                else:
                    return
        raise _refused(reference, known, refusals)


class Pulling:
    """One attempt, with one account."""

    def __init__(self, order: Pull, reference: Reference, registry: Registry) -> None:
        self._order = order
        self._reference = reference
        self._registry = registry
        self._hidden = order.to / HIDDEN
        self._budget = room.Budget(order.to, order.limit, order.free)

    def run(self) -> None:
        """Refusal when the account is not let in."""
        image = self._image()
        self._check_model(image.model)
        what = self._reference.text
        self._budget.check(what, sum(part.size for part in image.layers))
        tree = self._hidden / "tree"
        shutil.rmtree(tree, ignore_errors=True)  # of a process that was killed
        tree.mkdir(parents=True)
        files = Tree(tree, what, self._budget)
        for part in image.layers:
            self._add(files, part)
        put_in_place(files.settled(DATA), self._order.to)
        shutil.rmtree(self._hidden)

    def _check_model(self, model: str) -> None:
        wanted = self._order.models
        if model and wanted and model.lower() not in {each.lower() for each in wanted}:
            raise Ended(
                Ending.ARTIFACT_INVALID,
                f"{self._reference.text} was trained for the model {model[:200]}, and {wanted[0]} "
                "is served here: serve that one, or take an adapter of this one.",
            )

    def _add(self, files: Tree, part: Part) -> None:
        if not part.may_be_archive and not part.title:
            return  # a signature, say
        blob = self._blob(part)
        if part.may_be_archive and is_archive(blob):
            files.add_layer(blob)
            blob.unlink()
        elif part.title:
            files.add_file(part.title, blob)
        else:
            raise self._invalid("a layer of it is no archive")

    def _image(self) -> Image:
        wanted = self._reference.wanted
        for _ in range(DEEPEST):
            text = self._manifest(wanted)
            try:
                found = read(text)
            except ValueError as error:
                raise self._invalid(str(error)) from error
            if isinstance(found, Image):
                return found
            chosen = found.chosen(self._order.machine)
            if chosen is None:
                raise self._invalid(f"it has none for linux on {self._order.machine}")
            wanted = chosen.digest
        raise self._invalid("its indexes lead to indexes only")

    def _manifest(self, wanted: str) -> bytes:
        return self._order.patience.until_done(lambda: self._asked_manifest(wanted))

    def _asked_manifest(self, wanted: str) -> bytes:
        url, accept = self._reference.manifest(wanted), ", ".join(ACCEPTED)
        with self._registry.ask("GET", url, headers={"Accept": accept}) as answer:
            promised = answer.headers.get("Docker-Content-Digest", "")
            text = bytearray()
            for piece in self._registry.pour(answer):
                text += piece
                if len(text) > LARGEST:
                    raise self._invalid(f"its manifest has more than {room.spelled(LARGEST)}")
        expected = wanted if ":" in wanted else promised
        if expected.startswith(("sha256:", "sha512:")):
            found = digest_of(bytes(text), expected)
            if found != expected:
                raise self._invalid(f"its manifest is {found} instead of {expected[:140]}")
        return bytes(text)

    def _blob(self, part: Part) -> Path:
        """The file of a blob, verified. What there is of it from an earlier process is of use."""
        algorithm, _, wanted = part.digest.partition(":")
        path = self._hidden / f"{wanted}.part"
        found = self._received(part, path)
        if found != wanted:
            path.unlink()  # it may have been damaged on the way
            found = self._received(part, path)
        if found != wanted:
            path.unlink()
            raise self._invalid(f"a layer of it is {algorithm}:{found} instead of {part.digest}")
        return path

    def _received(self, part: Part, path: Path) -> str:
        """Have a blob in a file; its digest in hex."""
        self._order.patience.until_done(lambda: self._receive(part, path), lambda: size(path))
        return digest(path, part.digest.partition(":")[0])

    def _receive(self, part: Part, path: Path) -> None:
        have = size(path)
        if have > part.size:
            path.unlink()
            have = 0
        if have == part.size:
            path.touch()
            return
        headers = {"Range": f"bytes={have}-"} if have else {}
        url = self._reference.blob(part.digest)
        with self._registry.ask("GET", url, headers=headers, expected=(200, 206, 416)) as answer:
            start = have if _goes_on(answer.headers.get("Content-Range", ""), have) else 0
            if answer.status_code == 416 or (answer.status_code == 206 and start != have):
                path.unlink(missing_ok=True)
                raise unavailable(self._reference, "it sends another part than was asked for")
            if answer.status_code == 200:
                start = 0
            with path.open("r+b" if start else "wb") as file:
                file.seek(start)
                file.truncate()
                for piece in self._registry.pour(answer):
                    if start + len(piece) > part.size:
                        raise self._invalid("a layer of it is longer than its manifest says")
                    start += file.write(piece)
        if start < part.size:
            raise unavailable(self._reference, "it broke off")

    def _invalid(self, why: str) -> Ended:
        return Ended(
            Ending.ARTIFACT_INVALID,
            f"{self._reference.text} is not to be used, as {why}: push it anew.",
        )


def put_in_place(files: Path, target: Path) -> None:
    """Move what is in one directory into another of the same file system, each name at once."""
    for each in sorted(files.iterdir()):
        there = target / each.name
        if there.is_dir() and not there.is_symlink():
            shutil.rmtree(there)
        elif each.is_dir():
            there.unlink(missing_ok=True)
        each.replace(there)


def size(path: Path) -> int:
    """Bytes of a file, 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _goes_on(content_range: str, have: int) -> bool:
    found = RANGE.match(content_range)
    return found is not None and int(found[1]) == have


def _refused(reference: Reference, known: Sequence[Account], refusals: Sequence[Refusal]) -> Ended:
    # What somebody with an account is told says more than what a stranger is.
    said = refusals[0].why
    whom = "none of the pull secrets has an account for it"
    if known:
        whom = f"the pull secrets have {len(known)} for it" if len(known) > 1 else "one was used"
    return Ended(
        Ending.DATA_UNAVAILABLE,
        f"{reference.text} cannot be pulled: asked for it, {reference.host} says no, as {said}. "
        f"Make sure that the name is right and that an account may pull it ({whom}).",
    )
