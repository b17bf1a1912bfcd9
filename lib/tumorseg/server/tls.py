"""Looks at certificate and key before the server starts: what is wrong is said at once, in words."""

from __future__ import annotations

import logging
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tumorseg.errors import InputError

logger = logging.getLogger(__name__)
_SOON = timedelta(days=14)


def check(cert: Path, key: Path) -> None:
    """Raise InputError where these two cannot serve https; warn where they soon cannot any more."""
    for what, path in (("--tls-cert", cert), ("--tls-key", key)):
        try:
            text = path.read_bytes()
        except OSError as error:
            raise InputError(f"{what}: cannot read {path}: {error.strerror}") from None
        if b"-----BEGIN" not in text:
            raise InputError(f"{what}: expected a PEM file (-----BEGIN …), got something else in {path}")
    _require_pair(cert, key)
    ends = _end(cert)
    left = ends - datetime.now(UTC)
    if left < timedelta():
        logger.warning("the certificate %s expired on %s: browsers will refuse it", cert, f"{ends:%Y-%m-%d}")
    elif left < _SOON:
        logger.warning("the certificate %s expires on %s", cert, f"{ends:%Y-%m-%d}")
    if key.stat().st_mode & 0o077:
        logger.warning("others on this computer can read the private key %s: chmod 600", key)


def _require_pair(cert: Path, key: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    asked = False

    def passphrase() -> str:
        nonlocal asked
        asked = True
        return ""

    try:
        context.load_cert_chain(cert, key, passphrase)
    except (ssl.SSLError, ValueError) as error:
        if asked:
            raise InputError(f"--tls-key: expected a key without a passphrase, {key} has one") from None
        if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
            raise InputError(f"--tls-key: {key} is not the key of the certificate {cert}") from None
        raise InputError(f"cannot use certificate {cert} with key {key}: {error}") from None


def _end(cert: Path) -> datetime:
    """Return when the server's own certificate, the first of the file, expires."""
    from cryptography import x509

    return x509.load_pem_x509_certificates(cert.read_bytes())[0].not_valid_after_utc
