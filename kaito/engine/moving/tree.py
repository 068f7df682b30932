"""A tree of files that grows layer by layer and never beyond its directory.

Only plain files and directories are made. Links are remembered, not made, so that no path on the
disk ever leads elsewhere; in the end those within the tree become the files that they lead to.
Devices and links that lead out are an error where they are among the files that are wanted, and
passed over elsewhere: systems below an adapter are full of them.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from kaito.engine.endings import Ended, Ending
from kaito.engine.moving.archive import DAMAGED, forget, members
from kaito.engine.moving.record import HIDDEN
from kaito.engine.moving.room import Budget

Names: TypeAlias = tuple[str, ...]

MOST_FILES = 100_000
LONGEST_LINK = 4096  # characters of what one leads to, as in Linux
MOST_LINKS = 40  # on the way to one file, as in Linux
GONE, OPAQUE = ".wh.", ".wh..wh..opq"  # OCI image specification, "Whiteouts"
CHUNK = 1024 * 1024  # bytes copied at once


class Tree:
    """The files of an image below a directory, which is there and empty. `what` is it in words."""

    def __init__(self, root: Path, what: str, budget: Budget, most: int = MOST_FILES) -> None:
        self._root = root
        self._what = what
        self._budget = budget
        self._left = most
        self._most = most
        self._links: dict[Names, str] = {}
        self._strange: dict[Names, str] = {}
        self._size = 0

    def add_layer(self, blob: Path) -> None:
        """Unpack an archive over what is there. Ended when it is none, or too much."""
        own: set[Names] = set()
        try:
            with members(blob) as archive:
                for member in archive:
                    self._take(archive, member, own)
                    forget(archive)
        except DAMAGED as error:
            raise self._invalid(f"a layer of it is damaged ({type(error).__name__})") from error

    def add_file(self, title: str, blob: Path) -> None:
        """A file of an artifact, which is moved to its place."""
        names = self._names(title)
        self._count(blob.stat().st_size)
        if names and HIDDEN not in names:
            self._clear(names, set())
            blob.chmod(0o644)
            blob.replace(self._made(names))

    def settled(self, folder: str) -> Path:
        """The directory with what is wanted, links resolved: this folder of it, where there is one,
        else all of it. Ended when that is nothing, or not to be had safely."""
        inside = (folder,) if (self._root / folder).is_dir() else ()
        for names, why in self._strange.items():
            if names[: len(inside)] == inside:
                raise self._invalid(f"{'/'.join(names)[:200]!r} in it {why}")
        for names in list(self._links):
            if names[: len(inside)] == inside:
                self._resolve(names)
        found = self._root.joinpath(*inside)
        if not any(path.is_file() for path in found.rglob("*")):
            raise self._invalid("it holds no files")
        return found

    def _take(self, archive: tarfile.TarFile, member: tarfile.TarInfo, own: set[Names]) -> None:
        names = self._names(member.name)
        self._count(member.size if member.isreg() else 0)
        # What is so called is what did not finish, there and here.
        if not names or HIDDEN in names:
            return
        if names[-1].startswith(GONE):
            self._whiteout(names, own)
        elif any(names[:end] in self._links for end in range(1, len(names))):
            self._strange[names] = "lies behind a link"
        elif member.isdir():
            self._clear_above((*names, ""), own)
            self._path(names).mkdir(parents=True, exist_ok=True)
        else:
            self._clear(names, own)
            if member.isreg():
                self._write(archive, member, names)
            elif len(member.linkname) > LONGEST_LINK:
                raise self._invalid(f"the link {'/'.join(names)[:200]!r} in it is too long")
            elif member.issym():
                self._links[names] = member.linkname
            elif member.islnk():
                self._links[names] = f"/{member.linkname}"
            else:
                self._strange[names] = "is neither a file nor a directory"

    def _write(self, archive: tarfile.TarFile, member: tarfile.TarInfo, names: Names) -> None:
        source = archive.extractfile(member)
        assert source is not None
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(self._made(names), flags, 0o644), "wb") as file:
            shutil.copyfileobj(source, file, CHUNK)
            if file.tell() != member.size:
                raise tarfile.ReadError("a member is cut off")

    def _whiteout(self, names: Names, own: set[Names]) -> None:
        """Something of the layers below is not to be seen any more."""
        above, name = names[:-1], names[-1]
        if name != OPAQUE:
            hidden = (*above, name.removeprefix(GONE))
            if hidden[-1] in ("", ".", ".."):
                raise self._invalid("a layer of it removes what has no name")
            if hidden not in own:
                self._remove(hidden)
            return
        path = self._path(above)
        there = [(*above, each.name) for each in path.iterdir()] if path.is_dir() else []
        linked = [each for each in (*self._links, *self._strange) if each[: len(above)] == above]
        for each in (*there, *linked):
            if each not in own:
                self._remove(each)

    def _clear(self, names: Names, own: set[Names]) -> None:
        """Nothing has this name any more, and all that is above it may be directories."""
        self._clear_above(names, own)
        self._remove(names)
        own.add(names)

    def _clear_above(self, names: Names, own: set[Names]) -> None:
        for above in (names[:end] for end in range(1, len(names))):
            if above in self._links or above in self._strange or self._path(above).is_file():
                self._remove(above)
            own.add(above)

    def _remove(self, names: Names) -> None:
        path = self._path(names)
        if path.is_dir():
            shutil.rmtree(path)
        elif path.is_file():  # not below another one
            path.unlink()
        for known in (self._links, self._strange):
            for each in [each for each in known if each[: len(names)] == names]:
                del known[each]

    def _resolve(self, names: Names) -> None:
        """Make the file that a link leads to where the link is."""
        there = self._followed(names)
        if there is None:
            raise self._invalid(f"the link {'/'.join(names)[:200]!r} in it leads to no file of it")
        path = self._made(names)
        if not path.exists():
            os.link(self._path(there), path)

    def _followed(self, names: Names) -> Names | None:
        """The plain file at the end of links, None where there is none within the tree."""
        done: Names = ()
        rest, hops = list(names), 0
        while rest:
            name = rest.pop(0)
            if name in ("", "."):
                continue
            if name == "..":
                if not done:
                    return None
                done = done[:-1]
                continue
            done = (*done, name)
            target = self._links.get(done)
            if target is not None:
                hops += 1
                if hops > MOST_LINKS or "\0" in target:
                    return None
                done = () if target.startswith("/") else done[:-1]
                rest = [*target.split("/"), *rest]
        return done if done and self._path(done).is_file() else None

    def _names(self, name: str) -> Names:
        """The elements of a path below the root. Ended when it leads out of it."""
        found = PurePosixPath(name.replace("\0", "")).parts
        parts = tuple(each for each in found if each not in ("/", "//"))
        if ".." in parts:
            raise self._invalid(f"the path {name[:200]!r} in it leads out of it")
        try:
            sizes = [len(each.encode(errors="surrogateescape")) for each in parts]
        except UnicodeEncodeError as error:
            raise self._invalid("a path in it is no text") from error
        if sum(sizes) + len(sizes) > 3000 or any(size > 255 for size in sizes):
            raise self._invalid(f"the path {name[:60]!r}... in it is too long")
        return parts

    def _count(self, size: int) -> None:
        self._left -= 1
        if self._left < 0:
            raise self._invalid(f"it has more than {self._most} files")
        self._size += size
        self._budget.check(self._what, self._size, missing=size)

    def _path(self, names: Names) -> Path:
        return self._root.joinpath(*names)

    def _made(self, names: Names) -> Path:
        """A path whose directory is there."""
        path = self._path(names)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _invalid(self, why: str) -> Ended:
        return Ended(
            Ending.ARTIFACT_INVALID, f"{self._what} cannot be unpacked, as {why}: build it anew."
        )
