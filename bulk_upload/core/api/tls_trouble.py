"""Causes of failed TLS handshakes, and remedies: waiting helps with none of them."""

from __future__ import annotations

EXPIRED, NOT_YET_VALID, HOSTNAME_MISMATCH, IP_MISMATCH = 10, 9, 62, 64
"""X509_V_ERR_* of OpenSSL's x509_vfy.h, as `ssl.SSLCertVerificationError.verify_code` has them."""

_PLAIN_PORT_REASONS = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL"}
)
"""OpenSSL's errors for an answer that is not TLS; RECORD_LAYER_FAILURE from version 3.2 on."""

_TLS_PORT_WORDS = (
    "plain HTTP request was sent to HTTPS port",
    "HTTP request to an HTTPS server",
    "speaking plain HTTP",
)
"""nginx, Go's net/http and Apache httpd, to a request without TLS."""

_ALERT = "\\x15\\x03"
"""How a TLS alert record begins, as an HTTP parser reports it."""

USE_HTTPS = "the server speaks TLS there: begin --base-url with https://"


def certificate_remedy(verify_code: int) -> str:
    """Return what to do about a certificate that was not accepted."""
    if verify_code in (EXPIRED, NOT_YET_VALID):
        return (
            "compare this machine's clock; if it is right, whoever runs the server must renew its certificate"
        )
    if verify_code in (HOSTNAME_MISMATCH, IP_MISMATCH):
        return "check the host in --base-url: it must be one that the certificate names"
    return (
        "if a company's proxy inspects TLS, or the server has an authority of its own, name that authority's certificates"
        " with --ca-file FILE (or SSL_CERT_FILE)"
    )


def handshake_remedy(openssl_reason: str | None) -> str | None:
    """Return what to do where the handshake failed because the server does not speak TLS; None for other reasons."""
    if openssl_reason not in _PLAIN_PORT_REASONS:
        return None
    return "no TLS is spoken at that port: check the port in --base-url, or begin it with http:// if the server has no TLS"


def answers_in_tls(words: str) -> bool:
    """Whether the bytes received in place of an HTTP answer, or an error's text, are a TLS server's answer to plain
    HTTP."""
    return _ALERT in words or any(one in words for one in _TLS_PORT_WORDS)
