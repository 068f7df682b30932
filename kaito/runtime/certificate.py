"""The certificate that we serve with, read again when its files change.

Rules of controller-runtime's certwatcher: the files are looked at every ten seconds, whatever
links lead to them, and a pair that cannot be used leaves the earlier one in place.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from kaito.runtime.clock import Clock, Timer
from kaito.runtime.metrics import Metrics
from kaito.runtime.tls import load_chain

REREAD_SECONDS = 10.0  # controller-runtime's period

log = structlog.get_logger("kaito.runtime.certificate")


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files: a chain of certificates, ours first, and the key to the first."""

    chain: Path
    key: Path


class ServedCertificate:
    """A server's TLS context, kept current while `with` it.

    Entering raises OSError (ssl.SSLError is one) when the files cannot be used.
    """

    def __init__(self, certificate: Certificate, *, clock: Clock, metrics: Metrics) -> None:
        self._certificate = certificate
        self._clock = clock
        self._reads = metrics.certificate_reads
        self._errors = metrics.certificate_errors
        self._seen: tuple[bytes, bytes] | None = None
        self._timer: Timer | None = None
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2

    def __enter__(self) -> Self:
        self._read()
        self._book()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _book(self) -> None:
        self._timer = self._clock.call_later(REREAD_SECONDS, self._look)

    def _look(self) -> None:
        try:
            self._read()
        except OSError as error:
            self._errors.inc()
            log.warning("certificate kept", path=str(self._certificate.chain), error=str(error))
        self._book()

    def _read(self) -> None:
        found = (self._certificate.chain.read_bytes(), self._certificate.key.read_bytes())
        if found == self._seen:
            return
        pair = b"\n".join(found)
        # Tried on another context first: half a pair would spoil the one in use.
        load_chain(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), pair)
        load_chain(self.context, pair)
        self._reads.inc()
        if self._seen is not None:
            log.info("certificate read", path=str(self._certificate.chain))
        self._seen = found
