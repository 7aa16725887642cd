"""The options that say how to reach a server: its key, its certificates, the proxy."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import click

from bulk_upload.cli.options.key_processes import COMMAND_S_MAX
from bulk_upload.cli.options.units import POSITIVE_DURATION, WORD
from bulk_upload.cli.output.streams import tell
from bulk_upload.core.api.endpoint import endpoint_of
from bulk_upload.core.api.network import Network
from bulk_upload.core.api.profile import FLOW

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.api.connection import Connection
    from bulk_upload.core.api.profile import Profile

_OPTIONS = (
    click.option(
        "--api-key-file",
        type=WORD,
        metavar="FILE",
        help="Read the API key from a file only you can read (default: the profile's variable; for "
        f"{FLOW.name} ${FLOW.key_variable}). Re-read once if the server refuses the key.",
    ),
    click.option(
        "--api-key-command",
        type=WORD,
        metavar="COMMAND",
        help=f"Run a command that prints the API key within {COMMAND_S_MAX:g} s. Re-run once if the server "
        "refuses the key.",
    ),
    click.option(
        "--allow-plain-http",
        is_flag=True,
        help="Send the key, and read objects, unencrypted from machines other than this one.",
    ),
    click.option(
        "--stall",
        type=POSITIVE_DURATION,
        default="60s",
        show_default=True,
        help="Abort a request after this long without progress.",
    ),
    click.option(
        "--proxy",
        type=WORD,
        metavar="URL",
        help="HTTP proxy (default: $HTTPS_PROXY, $HTTP_PROXY, $NO_PROXY). Use the variable for a password.",
    ),
    click.option(
        "--ca-file",
        type=WORD,
        metavar="FILE",
        help="Trust these CA certificates (PEM) instead of the system's.",
    ),
    click.option("--client-cert", type=WORD, metavar="FILE", help="Client certificate (PEM)."),
    click.option(
        "--client-key",
        type=WORD,
        metavar="FILE",
        help="Key of the client certificate (PEM), if not in the same file.",
    ),
    click.option(
        "--insecure",
        is_flag=True,
        help="Do not verify the server's certificate. Others may read key and files.",
    ),
)


def server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command."""
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(_OPTIONS), command)


def endpoint_in(options: dict[str, Any], profile: Profile) -> str:
    """Return the endpoint that the options select. Raises UsageError."""
    base_url = options["base_url"]
    return endpoint_of(
        profile.base_url if base_url is None else base_url,
        allow_plain_http=options["allow_plain_http"],
        files_path=profile.files_path,
    )


def connection_of(options: dict[str, Any], profile: Profile) -> Connection:
    """Return the connection that options and environment describe. Raises UsageError."""
    from bulk_upload.core.api.connection import ANSWER_S, Connection  # noqa: PLC0415 - help does without msgspec

    endpoint = endpoint_in(options, profile)
    return Connection(
        endpoint=endpoint,
        profile=profile,
        team=options["team"],
        network=network_of(options, endpoint),
        stall_s=options["stall"],
        answer_s=options.get("answer", ANSWER_S),
        min_bytes_per_s=options.get("min_rate", 0.0),
    )


def network_of(options: dict[str, Any], endpoint: str) -> Network:
    """Return the network settings for an endpoint, from options and environment. Raises UsageError."""
    # Help must not wait for an HTTP client.
    from bulk_upload.library.environment import proxy_of_environment, usable_proxy  # noqa: PLC0415

    if options["insecure"]:
        tell(
            "WARNING: --insecure: the server's certificate is not verified; others may read the key and the files"
        )
    return Network(
        proxy=usable_proxy(options["proxy"] or proxy_of_environment(endpoint)),
        ca_file=options["ca_file"],
        client_cert=options["client_cert"],
        client_key=options["client_key"],
        insecure=options["insecure"],
    )
