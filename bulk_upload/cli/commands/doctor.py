"""`bulk-upload doctor`: finds what would make a run fail, before it starts."""

from __future__ import annotations

import json
import os
import platform
import secrets
import shutil
import sqlite3
import ssl
import sys
import textwrap
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
import click
from msgspec.structs import asdict

from bulk_upload.cli.config.file import current_configuration, profile_named
from bulk_upload.cli.options.api_key import api_key_of
from bulk_upload.cli.options.completion import file_names
from bulk_upload.cli.options.job import JOB_CONTEXT, endpoint_options
from bulk_upload.cli.options.ledger import require_yes
from bulk_upload.cli.options.sections import JobCommand
from bulk_upload.cli.options.server import connection_of, endpoint_in
from bulk_upload.cli.options.units import WORD
from bulk_upload.cli.output.json_output import json_option
from bulk_upload.cli.output.streams import put
from bulk_upload.core.api.connection import Connection
from bulk_upload.core.api.endpoint import is_loopback
from bulk_upload.core.api.paging import PageRequest
from bulk_upload.core.api.profile import NameAlphabet
from bulk_upload.core.api.redaction import Redaction
from bulk_upload.core.api.secret import usable_key
from bulk_upload.core.bundle.grouping import FILES_MIN, require_bundles
from bulk_upload.core.manifest.sent_name import portable_name
from bulk_upload.core.purposes import purpose_remedy
from bulk_upload.core.report import doctor_checks
from bulk_upload.core.report.bundle_checks import bundle_checks
from bulk_upload.core.report.doctor_checks import Grade, doubtful, fine, problem
from bulk_upload.core.report.probe_checks import probe_checks, probe_content
from bulk_upload.core.run.job import Job
from bulk_upload.core.text.printable import printable
from bulk_upload.edge.clock import SystemClock
from bulk_upload.edge.descriptors import raise_descriptor_limit
from bulk_upload.edge.ledger.file.location import kind_of_place, require_folder
from bulk_upload.edge.manifest_file import ledger_path_of
from bulk_upload.edge.transport import NoAnswer, Transport, TransportSettings
from bulk_upload.engine.files.probed import PAGES_MAX
from bulk_upload.engine.files.probed import probe as send_probe
from bulk_upload.engine.files.probed_bundle import probe_bundle
from bulk_upload.errors import BulkUploadError, UsageError
from bulk_upload.exit_status import ExitStatus
from bulk_upload.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk_upload.core.api.network import Network
    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.report.bundle_checks import ProbedBundle
    from bulk_upload.core.report.doctor_checks import Check
    from bulk_upload.core.report.probe_checks import Probed

_ANSWER_S_MAX = 15.0
_PROBE_REQUESTS_MAX = 8
_HEAD_COLUMNS = 22
FILE, BUNDLES = "file", "bundles"
_PACKAGES = ("aiohttp", "anyio", "click", "msgspec", "rich", "tenacity")


class ProbeOf(click.ParamType[str]):
    """What is probed: one file, or several in one request."""

    name = "probe"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401
        """Return the word."""
        if value not in (FILE, BUNDLES):
            self.fail(
                f"{value!r} cannot be probed; write bundles or nothing, and MANIFEST before --probe",
                param,
                ctx,
            )
        return str(value)


@click.command("doctor", cls=JobCommand, context_settings=JOB_CONTEXT)
@click.argument("manifest", required=False, shell_complete=file_names)
@endpoint_options
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True,
    help="json: one JSON object per check.",
)  # fmt: skip
@click.option(
    "--probe",
    type=ProbeOf(),
    is_flag=False,
    flag_value=FILE,
    metavar="[bundles]",
    help="Also upload one small file, find it, read it back and delete it; bundles: two in one request, list and delete "
    "them. Says what that costs, and asks first.",
)
@click.option(
    "--purpose", type=WORD, metavar="P", help="Purpose of the file of --probe (default: the profile's first)."
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option("a JSON object per check (--format json)")
def doctor(
    manifest: str | None,
    *,
    form: str,
    probe: str | None,
    purpose: str | None,
    yes: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Check what a run needs: key, server, certificates, proxy, clock, disk; uploads nothing unless --probe is given.

    Requests one entry of the server's list. Checks the folder of MANIFEST's ledger, or the current folder. The exit
    code is 0 if nothing prevents a run, warnings or not; otherwise it is the code such a run would end with: 2, 5,
    11 or 12.

    \b
    Examples:
      bulk-upload doctor
      bulk-upload doctor --job nightly
      bulk-upload doctor --base-url http://127.0.0.1:8099 --json
      bulk-upload doctor --profile mistral --probe
      bulk-upload doctor --probe bundles
    """
    redaction = Redaction()
    checks = []
    for one in _checks(manifest, options, redaction):
        checks.append(one)
        put(_line(one, redaction, as_json=as_json or form == "json"))
    if probe and not any(one.verdict is Grade.PROBLEM for one in checks):
        probed = _probed_bundle if probe == BUNDLES else _probed
        for one in probed(options, purpose, redaction, yes=yes):
            checks.append(one)
            put(_line(one, redaction, as_json=as_json or form == "json"))
    return doctor_checks.exit_status_of(checks)


def _probed(
    options: dict[str, Any], purpose: str | None, redaction: Redaction, *, yes: bool
) -> Iterator[Check]:
    """Probe the server with the user's own key, once that is allowed. Raises UsageError where nobody can be asked."""
    profile = profile_named(options["profile"])
    wanted = _purpose(profile, purpose)
    connection = connection_of(options, profile)
    content = probe_content(wanted)
    reads = ", read it back" if profile.reads_back(wanted) else ""
    require_yes(
        f"Upload a file of {len(content)} bytes for {wanted} to {connection.endpoint}, look it up{reads} and delete it? These "
        f"are up to {_PROBE_REQUESTS_MAX} requests, which count against the limits of your account",
        yes=yes,
    )
    settings = _probe_settings(options, connection, redaction)
    # Letters that a server may change show whether it keeps names.
    name = f"bulk-upload probe naïve {secrets.token_hex(4)}.jsonl"
    sent_name = portable_name(name) if profile.name_alphabet is NameAlphabet.PORTABLE else name

    async def work() -> Probed:
        async with Transport(settings, SystemClock()).running() as transport:
            return await send_probe(transport, profile, purpose=wanted, content=content, sent_name=sent_name)

    yield from probe_checks(anyio.run(work), profile)


def _probed_bundle(
    options: dict[str, Any], purpose: str | None, redaction: Redaction, *, yes: bool
) -> Iterator[Check]:
    """Probe the call for several files. Raises UsageError where nobody can be asked, or the profile has no such call."""
    profile = profile_named(options["profile"])
    require_bundles(profile, FILES_MIN)
    wanted = _purpose(profile, purpose)
    connection = connection_of(options, profile)
    content = probe_content(wanted)
    require_yes(
        f"Upload two files of up to {2 * len(content)} bytes for {wanted} in one request to {connection.endpoint}, list and "
        f"delete them? These are up to {1 + PAGES_MAX + 2} requests, which count against the limits of your account",
        yes=yes,
    )
    settings = _probe_settings(options, connection, redaction)
    token = secrets.token_hex(4)
    names = [f"bulk-upload-probe-{token}-{number}.jsonl" for number in (1, 2)]

    async def work() -> ProbedBundle:
        async with Transport(settings, SystemClock()).running() as transport:
            return await probe_bundle(transport, profile, purpose=wanted, content=content, sent_names=names)

    yield from bundle_checks(anyio.run(work))


def _purpose(profile: Profile, purpose: str | None) -> str:
    wanted = profile.purposes[0] if purpose is None else purpose
    if wanted not in profile.purposes:
        raise UsageError(
            f"the profile {profile.name} has no purpose {printable(wanted)!r}",
            hint=purpose_remedy(wanted, profile.purposes),
        )
    return wanted


def _probe_settings(
    options: dict[str, Any], connection: Connection, redaction: Redaction
) -> TransportSettings:
    source = redaction.learning(api_key_of(options, connection.profile))
    return TransportSettings(
        connection=connection,
        api_key=usable_key(source if isinstance(source, str) else source()),
        user_agent=f"bulk-upload/{__version__}",
    )


def _line(one: Check, redaction: Redaction, *, as_json: bool) -> str:
    if as_json:
        # The key has its first name: scripts read it.
        fields = {"verdict" if name == "grade" else name: value for name, value in asdict(one).items()}
        fields["exit_code"] = int(fields.pop("status"))
        clean = {
            key: redaction.clean(text) if isinstance(text, str) else text for key, text in fields.items()
        }
        return json.dumps(clean) + "\n"
    lines = _wrapped(redaction.clean(one.words))
    if one.remedy is not None and one.verdict is not Grade.OK:
        lines += [f"  {line}" for line in _wrapped(f"hint: {redaction.clean(one.remedy)}")]
    heads = [f"{one.verdict:<8} {one.name:<13}", *[" " * _HEAD_COLUMNS] * len(lines)]
    return "".join(f"{head} {line}\n" for head, line in zip(heads, lines, strict=False))


def _wrapped(words: str) -> list[str]:
    """Return text as lines that leave room for the names of checks; one line where there is no terminal."""
    if not sys.stdout.isatty():
        return [printable(words)]
    columns = shutil.get_terminal_size().columns - _HEAD_COLUMNS - 3
    return textwrap.wrap(printable(words), max(columns, 20), break_on_hyphens=False)


def _checks(manifest: str | None, options: dict[str, Any], redaction: Redaction) -> Iterator[Check]:
    yield fine("versions", _versions())
    yield fine("packages", _packages())
    path = current_configuration().path
    yield fine("settings", f"from {path}" if path else "no bulk-upload.toml was read")
    try:
        profile = profile_named(options["profile"])
    except BulkUploadError as error:
        yield _broken("server", error)
        return
    key = None
    try:
        source = redaction.learning(api_key_of(options, profile))
        key = usable_key(source if isinstance(source, str) else source())
        yield fine("key", "set, and well-formed")
    except BulkUploadError as error:
        yield _broken("key", error)
    try:
        brief = options | {"stall": min(options["stall"], _ANSWER_S_MAX)}
        connection = connection_of(brief, profile)
        settings = TransportSettings(
            connection=connection,
            api_key=key or usable_key("no-key"),
            user_agent=f"bulk-upload/{__version__}",
        )
        yield _proxy(connection.network)
        yield _tls(connection.endpoint, connection.network)
        yield from anyio.run(_asked, settings, key is not None)
    except BulkUploadError as error:
        yield _broken("server", error)
    yield doctor_checks.descriptors(raise_descriptor_limit())
    yield from _ledger(manifest, options, profile)


def _broken(name: str, error: BulkUploadError) -> Check:
    return problem(name, str(error), error.hint, error.exit_status)


def _versions() -> str:
    machine = f"{platform.system()} {platform.release()}"
    return f"bulk-upload {__version__}, Python {platform.python_version()}, {machine}"


def _packages() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return f"{packages}, SQLite {sqlite3.sqlite_version}, {ssl.OPENSSL_VERSION}"


def _proxy(network: Network) -> Check:
    if network.proxy is None:
        return fine("proxy", "none")
    parts = urlsplit(network.proxy)
    return fine("proxy", f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")


def _tls(endpoint: str, network: Network) -> Check:
    parts = urlsplit(endpoint)
    if parts.scheme == "http":
        if is_loopback(parts.hostname or ""):
            return fine("tls", "none: the server is this machine")
        return doubtful("tls", "none: the key is sent unencrypted", "use https if the server supports it")
    if network.insecure:
        return doubtful(
            "tls", "the server's certificate is not verified", "use --ca-file FILE, not --insecure"
        )
    trusted = network.ca_file or _system_authorities()
    shown = "" if network.client_cert is None else f"; client certificate {network.client_cert}"
    return fine("tls", f"certificates are verified against {trusted}{shown}")


def _system_authorities() -> str:
    paths = ssl.get_default_verify_paths()
    return paths.cafile or paths.capath or "the system's CA certificates"


async def _asked(settings: TransportSettings, has_key: bool) -> list[Check]:
    """Request one entry of the list: the smallest request that needs the key."""
    transport = Transport(settings, SystemClock())
    async with transport.running():
        try:
            await transport.list_page(PageRequest(limit=1))
            checks = [fine("server", f"{settings.connection.endpoint} answers")]
            if has_key:
                checks.append(fine("key accepted", "the server lists files with it"))
        except NoAnswer as error:
            checks = doctor_checks.answered(
                error.http_status,
                str(error),
                can_list=settings.connection.profile.can_list,
                remedy=error.remedy,
            )
            if not has_key:
                # A refusal without a key is expected, and already reported.
                checks = [one for one in checks if one.name != "key accepted"]
            if error.http_status is None:
                return checks
    return [*checks, doctor_checks.clock(transport.clock_offset_s)]


def _ledger(manifest: str | None, options: dict[str, Any], profile: Profile) -> Iterator[Check]:
    if manifest not in (None, "-") and not os.path.exists(manifest):
        # It may be written between now and the run.
        remedy = "check the name; paths start from the current folder"
        yield doubtful("manifest", f"there is no file or folder {printable(manifest)}", remedy)
    try:
        path = _ledger_path(manifest, options, profile)
        require_folder(path)
    except BulkUploadError as error:
        yield _broken("ledger", error)
        return
    folder = os.path.dirname(os.path.abspath(path))
    if not os.access(folder, os.W_OK | os.X_OK) or (os.path.exists(path) and not os.access(path, os.W_OK)):
        remedy = "fix its permissions, or choose another path with --ledger FILE"
        yield problem("ledger", f"{path} cannot be written", remedy, ExitStatus.LEDGER_UNUSABLE)
        return
    yield doctor_checks.ledger_place(path, is_there=os.path.exists(path), kind=kind_of_place(path))
    yield doctor_checks.free_space(shutil.disk_usage(folder).free, folder)


def _ledger_path(manifest: str | None, options: dict[str, Any], profile: Profile) -> str:
    if options["ledger"] is not None:
        return str(options["ledger"])
    if manifest is None:
        return os.path.join(options["ledger_dir"] or "", "manifest.ledger.db")
    connection = Connection(endpoint=endpoint_in(options, profile), profile=profile)
    return ledger_path_of(Job(manifest=manifest, ledger_dir=options["ledger_dir"]), connection)
