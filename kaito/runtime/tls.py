"""TLS contexts that follow their files: authorities and certificates that somebody rotates.

Rules of client-go: files are looked at every five minutes, and what cannot be used leaves the
earlier one in place. A new context means new connections; running ones end by themselves.
"""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

import structlog

from kaito.runtime.clock import Clock
from kaito.runtime.kubeconfig import Pem

RELOAD_SECONDS = 300.0  # client-go's period for authorities and client certificates

log = structlog.get_logger("kaito.runtime.tls")


class Tls:
    """The TLS context of a client, made anew when the files behind it change.

    Without an authority the system's are trusted. The constructor raises OSError (ssl.SSLError is
    one) when what is given cannot be used; later changes that cannot be used are logged.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        authority: Pem | None = None,
        certificate: Pem | None = None,
        key: Pem | None = None,
        verify: bool = True,
    ) -> None:
        self._clock = clock
        self._authority = authority
        self._pair = (certificate, key)
        self._verify = verify
        self._seen = self._contents()
        self._context = self._make(*self._seen)
        self._looked_at = clock.monotonic()

    def context(self) -> ssl.SSLContext:
        """The context for connections opened now."""
        if self._clock.monotonic() - self._looked_at >= RELOAD_SECONDS:
            self._looked_at = self._clock.monotonic()
            self._reload()
        return self._context

    def present(self, certificate: Pem, key: Pem) -> None:
        """From now on show this certificate. OSError when it cannot be used."""
        pair, self._pair = self._pair, (certificate, key)
        try:
            contents = self._contents()
            if contents != self._seen:
                self._context, self._seen = self._make(*contents), contents
        except OSError:
            self._pair = pair
            raise

    def _reload(self) -> None:
        try:
            contents = self._contents()
            if contents == self._seen:
                return
            self._context = self._make(*contents)
        except (OSError, ValueError) as error:
            log.warning("certificates kept", error=str(error))
            return
        self._seen = contents
        log.info("certificates reloaded")

    def _contents(self) -> tuple[str | None, str | None, str | None]:
        return (_text(self._authority), _text(self._pair[0]), _text(self._pair[1]))

    def _make(
        self, authority: str | None, certificate: str | None, key: str | None
    ) -> ssl.SSLContext:
        if authority is not None and not authority.strip():
            raise ssl.SSLError("the authority is empty")  # else the system's would be trusted
        context = ssl.create_default_context(cadata=authority)
        if certificate is not None:
            load_chain(context, f"{certificate}\n{key or ''}".encode())
        if not self._verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def load_chain(context: ssl.SSLContext, pem: bytes) -> None:
    """Have `context` show these certificates, with the key that is among them.

    OSError (ssl.SSLError is one) when they cannot be used; a key behind a password cannot.
    """
    # OpenSSL takes a chain from a file only; this one is gone before anybody can look.
    with tempfile.NamedTemporaryFile(suffix=".pem") as chain:
        chain.write(pem)
        chain.flush()
        # Without an answer OpenSSL would ask for it on the terminal, and wait.
        context.load_cert_chain(chain.name, password="")


def _text(source: Pem | None) -> str | None:
    return source.read_text() if isinstance(source, Path) else source
