"""The authorities that TLS connections trust, and the certificate they present."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from bulk_upload.core.text.printable import printable
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from bulk_upload.core.api.network import Network


def tls_context(network: Network) -> ssl.SSLContext | bool:
    """Return aiohttp's `ssl` argument; True means the system's authorities.

    Raises UsageError when a file cannot be used.
    """
    if network.client_key is not None and network.client_cert is None:
        raise UsageError(
            "a client key without a client certificate is of no use", hint="pass --client-cert FILE"
        )
    if network == type(network)(proxy=network.proxy):
        return True
    context = _trusting(network.ca_file)
    if network.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if network.client_cert is not None:
        try:
            # OpenSSL would ask for a password on the terminal, during a run.
            context.load_cert_chain(network.client_cert, network.client_key, password=_no_password)
        except (OSError, ValueError) as error:
            raise _unusable("client certificate", network.client_cert, error) from None
    return context


def _trusting(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as error:
        raise _unusable("authorities' file", str(ca_file), error) from None


def _no_password() -> str:
    raise ValueError("its key needs a password")


def _unusable(what: str, path: str, error: Exception) -> UsageError:
    if isinstance(error, ssl.SSLError):
        reason = "it is not a PEM file of that kind, or certificate and key do not belong together"
    elif isinstance(error, OSError):
        reason = error.strerror or "it cannot be read"
    else:
        reason = str(error)
    return UsageError(
        f"cannot use the {what} {printable(path)}: {reason}", hint="give a PEM file without a password"
    )
