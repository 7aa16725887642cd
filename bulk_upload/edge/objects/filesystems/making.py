"""Makes filesystems of fsspec from the address of a file and the settings of its host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bulk_upload.core.run.source import SourceError

if TYPE_CHECKING:
    from bulk_upload.core.objects.address import Address
    from bulk_upload.core.objects.options import SourceOptions

NO_HOST = "memory"
"""The scheme of fsspec's files in memory: what stands for a host is a folder there."""

PACKAGES = {
    "sftp": "'bulk-upload[fsspec]' paramiko",
    "ftp": "'bulk-upload[fsspec]'",
    "smb": "'bulk-upload[fsspec]' smbprotocol",
    "hdfs": "'bulk-upload[fsspec]' pyarrow",
    "webhdfs": "'bulk-upload[fsspec]' requests",
}
"""What each filesystem needs."""

_USERS = {"hdfs": "user", "webhdfs": "user"}


def made(address: Address, options: SourceOptions) -> Any:  # noqa: ANN401 - fsspec has no types
    """Return a filesystem that nobody else uses. Blocking. Raises ImportError, and what its connection raises."""
    import fsspec  # noqa: PLC0415 - an extra, and only for filesystems

    settings = settings_of(address, options)
    if address.scheme == "sftp":
        settings = {"host_key_policy": _known_hosts_only(options.known_hosts), **settings}
    return fsspec.filesystem(address.scheme, skip_instance_cache=True, **settings)


def settings_of(address: Address, options: SourceOptions) -> dict[str, Any]:
    """Return what fsspec makes the filesystem of an address from."""
    found: dict[str, Any] = dict(options.settings)
    if address.scheme != NO_HOST:
        host, _, port = address.home.rpartition(":")
        if not host or not port.isdigit():
            host, port = address.home, ""
        found["host"] = host.strip("[]")
        if port:
            found["port"] = int(port)
    if options.username is not None:
        found[_USERS.get(address.scheme, "username")] = options.username
    if options.password is not None:
        found["password"] = options.password
    if address.scheme == "ftp":
        # What was listed before says nothing about now.
        found["use_listings_cache"] = False
    return found


def _known_hosts_only(path: str | None) -> Any:  # noqa: ANN401 - paramiko need not be installed
    """Return a policy that connects to known hosts alone. fsspec's own takes any key, and a password would go to anybody."""
    import paramiko  # noqa: PLC0415 - only for SFTP

    # paramiko has no types: to mypy its class is Any, and nothing may be derived from that.
    class KnownHostsOnly(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]
        def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:  # noqa: ANN401, ARG002 - of paramiko
            known = paramiko.HostKeys()
            if path is not None:
                try:
                    known.load(path)
                except OSError:
                    known.clear()
            if not known.check(hostname, key):
                raise SourceError(
                    "the key of the host is not the one in known_hosts: connect to it once with ssh or sftp",
                    inaccessible=True,
                )

    return KnownHostsOnly()
