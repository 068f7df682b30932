"""An adapter to a registry: what it consists of first, and last what makes an image of it."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, urljoin

from kaito.engine.endings import Ended, Ending
from kaito.engine.moving.accounts import accounts
from kaito.engine.moving.manifest import OCI_MANIFEST, Part
from kaito.engine.moving.pack import Packed, pack
from kaito.engine.moving.patience import Patience
from kaito.engine.moving.pull import DATA
from kaito.engine.moving.record import HIDDEN
from kaito.engine.moving.reference import Reference, parse
from kaito.engine.moving.registry import Refusal, Registry, unavailable
from kaito.engine.moving.result import result
from kaito.engine.moving.trust import trust

# What a registry says of an upload, or of a blob, that it has lost since.
LOST = frozenset({"BLOB_UNKNOWN", "BLOB_UPLOAD_UNKNOWN", "MANIFEST_BLOB_UNKNOWN"})
DAMAGED = frozenset({"BLOB_UPLOAD_INVALID", "DIGEST_INVALID", "RANGE_INVALID", "SIZE_INVALID"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """What is pushed, as whom, and where to."""

    source: Path
    reference: str
    auth: Sequence[Path] = ()
    """Docker configurations, tried one after the other, then nobody in particular."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    patience: Patience = field(default_factory=Patience)
    tls: ssl.SSLContext = field(default_factory=trust)

    def run(self) -> str:
        """The reference with the digest of what was pushed. Ended when it could not be."""
        reference = self._target()
        try:
            known = accounts(self.auth, reference)
        except ValueError as error:
            raise self._refused(str(error)) from error
        files = result(self.source)
        hidden = self.source / HIDDEN
        hidden.mkdir(exist_ok=True)
        try:
            packed = pack(files, DATA, hidden / "layer.tar.gz", self.annotations)
            refusals: list[Refusal] = []
            for account in [*known, None]:
                with closing(Registry(reference, account, self.tls)) as registry:
                    try:
                        self._push(registry, reference, packed)
                    except Refusal as refusal:
                        refusals.append(refusal)
                    else:
                        return f"{reference.text}@{packed.digest}"
        finally:
            shutil.rmtree(hidden, ignore_errors=True)
        whom = "" if known else ", and the push secret has no account for it"
        raise self._refused(f"{reference.host} says no, {refusals[0].why}{whom}")

    def _target(self) -> Reference:
        try:
            found = parse(self.reference)
        except ValueError as error:
            raise self._refused(str(error)) from error
        if found.digest:
            raise self._refused("a digest is what comes of pushing: name a tag instead")
        return found

    def _push(self, registry: Registry, reference: Reference, packed: Packed) -> None:
        def whole() -> None:
            self._upload(registry, reference, packed.layer, packed.file)
            self._upload(registry, reference, packed.config_part, packed.config)
            self._name(registry, reference, packed)

        self.patience.until_done(whole)

    def _upload(
        self, registry: Registry, reference: Reference, part: Part, content: Path | bytes
    ) -> None:
        with registry.ask("HEAD", reference.blob(part.digest), expected=(200, 404)) as answer:
            if answer.status_code == 200:
                return
        with registry.ask("POST", f"{reference.base}/blobs/uploads/", expected=(202,)) as begun:
            location = urljoin(begun.url, begun.headers.get("Location", ""))
        url = f"{location}{'&' if '?' in location else '?'}digest={quote(part.digest)}"
        headers = {"Content-Type": "application/octet-stream"}
        with ExitStack() as stack:
            data: bytes | BinaryIO = (
                content if isinstance(content, bytes) else stack.enter_context(content.open("rb"))
            )
            try:
                with registry.ask("PUT", url, headers=headers, data=data, expected=(201, 204)):
                    pass
            except Refusal as refusal:
                if {*refusal.codes} & (LOST | DAMAGED):
                    raise unavailable(reference, f"it lost an upload, {refusal.why}") from refusal
                raise

    def _name(self, registry: Registry, reference: Reference, packed: Packed) -> None:
        """Send the manifest: from now on the tag leads to it."""
        url, headers = reference.manifest(reference.tag), {"Content-Type": OCI_MANIFEST}
        try:
            with registry.ask(
                "PUT", url, headers=headers, data=packed.manifest, expected=(201,)
            ) as answer:
                kept = answer.headers.get("Docker-Content-Digest", packed.digest)
        except Refusal as refusal:
            if {*refusal.codes} & LOST:
                raise unavailable(reference, f"it lost a blob, {refusal.why}") from refusal
            raise
        if kept.startswith("sha256:") and kept != packed.digest:
            raise self._refused(f"{reference.host} made {kept[:80]} of {packed.digest}")

    def _refused(self, why: str) -> Ended:
        return Ended(
            Ending.PUSH_REFUSED,
            f"The result cannot be pushed to {self.reference[:300]}, as {why}: correct the name "
            "or the account of the push secret.",
        )
