"""Reads aiohttp's responses with a size limit, and words its errors without showing a header."""

from __future__ import annotations

import os
import socket
import ssl

import aiohttp

from bulk_upload.core.api.tls_trouble import (
    HOSTNAME_MISMATCH,
    USE_HTTPS,
    answers_in_tls,
    certificate_remedy,
    handshake_remedy,
)


async def read_at_most(response: aiohttp.ClientResponse, bytes_max: int) -> bytes:
    """Return the answer's body, or its first `bytes_max` + 1 bytes where it is longer."""
    pieces: list[bytes] = []
    missing = bytes_max + 1
    while missing > 0 and not response.content.at_eof():
        piece = await response.content.read(missing)
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def lower_case_headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    """Return the headers of an answer with lower-case names."""
    return {name.lower(): value for name, value in response.headers.items()}


def words_of(error: Exception) -> str:
    """Return an error as text. Never its `repr`: aiohttp's shows the request's headers."""
    unconnected = _unconnected_words(error)
    if unconnected is not None:
        return unconnected
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "the server took too long to accept a connection"
    if speaks_tls(error):
        return "the answer came in TLS, to a request without it"
    if isinstance(error, aiohttp.ClientResponseError):
        # aiohttp reports a malformed answer as status 400; it is no answer at all.
        return "the answer was malformed"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the server closed the connection without an answer"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the answer broke off"
    if isinstance(error, TimeoutError):
        return "no answer came in time"
    # Where a write failed, aiohttp's own words name the URL and not what happened.
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    if isinstance(cause, OSError):
        return f"the connection was lost: {_system_words(cause)}"
    return f"the connection was lost: {type(error).__name__}"


def remedy_of(error: Exception) -> str | None:
    """Return what a person must change before TLS can work, None for an error that may be temporary."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
        code = cause.verify_code if isinstance(cause, ssl.SSLCertVerificationError) else HOSTNAME_MISMATCH
        return certificate_remedy(code)
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ssl.SSLError):
        return handshake_remedy(error.os_error.reason)
    if speaks_tls(error):
        return USE_HTTPS
    return None


def speaks_tls(error: Exception) -> bool:
    """Whether a TLS server answered a request that came without TLS: it cannot have understood any of it."""
    return isinstance(error, aiohttp.ClientResponseError) and answers_in_tls(error.message)


def _unconnected_words(error: Exception) -> str | None:
    """Return why there was no connection, None where there was one."""
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return f"cannot connect to the proxy: {_system_words(error.os_error)}"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy answered HTTP {error.status}"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"the server's certificate is not trusted: {_certificate_words(error.certificate_error)}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect to {error.host}:{error.port}: {_system_words(error.os_error)}"
    return None


def _certificate_words(error: Exception) -> str:
    return (
        error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else "it is for another name"
    )


def _system_words(error: OSError) -> str:
    # asyncio puts the address where the reason belongs; resolver and TLS have numbers and words of their own.
    if error.errno and not isinstance(error, socket.gaierror | ssl.SSLError):
        return os.strerror(error.errno)
    return error.strerror or str(error) or "it is closed"
