"""The address of an object in a store or on a web server: read, checked, and written in one form.

A manifest holds addresses as it holds paths, so an address must be durable and harmless: one with a password or a
signature would lie in the ledger, in logs and in reports, and expires.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

import msgspec

from bulk_upload.core.objects.hub import HUB, HubFlaw, hub_home_of, without_revision

STORES = {"s3": "S3", "gs": "Google Cloud Storage", "az": "Azure Blob Storage"}
"""Schemes of object stores, which can list: `s3://BUCKET/KEY`, `gs://BUCKET/KEY`, `az://CONTAINER/KEY`."""

WEB = ("https", "http")
"""Schemes of web servers, which have no list."""

FILESYSTEMS = {
    "sftp": "SFTP",
    "ftp": "FTP",
    "smb": "SMB",
    "hdfs": "HDFS",
    "webhdfs": "WebHDFS",
    "memory": "the memory of this process",
}
"""Schemes of filesystems that fsspec reads, which can list: `sftp://HOST/PATH`. The path starts from the root there."""

LISTED = (*STORES, HUB, *FILESYSTEMS)
"""Schemes of places that can list what they have."""

SCHEMES = (*LISTED, *WEB)

NAMED_SCHEMES = ", ".join(f"{one}://" for one in SCHEMES if one != "memory")
"""For messages: files in the memory of the process are for programs."""

KEY_BYTES_MAX = 1024
"""The longest key that S3, Google Cloud Storage and Azure allow."""

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://", re.ASCII)
_NEARLY = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/", re.ASCII)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_HOST = re.compile(r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
_SIGNED = re.compile(
    r"[?&;](?:X-Amz-|X-Goog-|AWSAccessKeyId=|GoogleAccessId=|Signature=|sig=|se=|token=|access_token=|api[_-]?key=)",
    re.ASCII | re.IGNORECASE,
)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})", re.ASCII)
_LOOPBACK = re.compile(r"(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]+)?", re.ASCII | re.IGNORECASE)
_DEFAULT_PORTS = {"https": ":443", "http": ":80"}
_KEPT_IN_URLS = "/-._~!$&'()*+,;=:@"


class AddressFlaw(ValueError):
    """Why an address cannot be used. The message never holds a password or a signature.

    Attributes:
        rule: the rule of the finding.
        remedy: what to do.
    """

    def __init__(self, rule: str, found: str, remedy: str) -> None:
        super().__init__(found)
        self.rule = rule
        self.remedy = remedy


class Address(msgspec.Struct, frozen=True):
    """Where an object is: `home` is a bucket, a container, a host with its port, or a repository of the Hugging Face Hub
    with its revision, `key` what it is called there.

    The key is as the store has it: escapes of a URL are decoded. `str` gives the address in its one form, which is
    the `path` of an entry.
    """

    scheme: str
    home: str
    key: str

    def __str__(self) -> str:
        key = quote(self.key, safe=_KEPT_IN_URLS) if self.scheme in WEB else self.key
        return f"{self.base}/{key}"

    @property
    def base(self) -> str:
        """The address of the bucket, host or repository."""
        return f"{self.scheme}://{self.home}"

    @property
    def settings_home(self) -> str:
        """What settings for it are named after: a repository with all its revisions."""
        return without_revision(self.base) if self.scheme == HUB else self.base

    @property
    def name(self) -> str:
        """The last part of the key, which is the object's name."""
        return self.key.rpartition("/")[2]


def is_address(path: str) -> bool:
    """Whether a path is the address of an object, of any scheme, and not the name of a file."""
    return "://" in path and _ADDRESS.match(path) is not None


def meant_address(text: str) -> str | None:
    """Return what to do about a text that looks like an address and is none, such as `s3:/x` and `s4://x`; else None."""
    found = _NEARLY.match(text)
    scheme = "" if found is None else found[1].lower()
    if (
        found is None
        or (scheme in SCHEMES and is_address(text))
        or (scheme not in SCHEMES and not is_address(text))
    ):
        return None
    return f"it looks like the address of objects, which begins with {NAMED_SCHEMES}"


def is_prefix(path: str) -> bool:
    """Whether a path is an address in a place that can be listed: of one object, or of all under a prefix."""
    return scheme_of(path) in LISTED


def prefix_stem(prefix: str) -> str:
    """Return what the ledger of a prefix is named after: its bucket and its keys, as one part of a path."""
    return prefix.partition("://")[2].strip("/").replace("/", "-")


def scheme_of(path: str) -> str | None:
    """Return the scheme of an address in lower case, None for a path."""
    found = _ADDRESS.match(path) if "://" in path else None
    return None if found is None else found[1].lower()


def name_in(path: str) -> str:
    """Return the base name of a file or an object."""
    name = path.rpartition("/")[2]
    return unquote(name) if "%" in name and scheme_of(path) in WEB else name


def folder_in(path: str) -> str:
    """Return the folders of a file or an object, without the scheme and the home of the latter."""
    folder = path.rpartition("/")[0]
    scheme = scheme_of(path)
    if scheme is None:
        return folder
    within = folder[len(scheme) + 3 :]
    if scheme == HUB:
        return hub_home_of(f"{within}/")[1].rstrip("/")
    within = within.partition("/")[2]
    return unquote(within) if scheme in WEB else within


def is_plain_to_elsewhere(scheme: str, home: str) -> bool:
    """Whether data would come from another machine without encryption."""
    return scheme == "http" and _LOOPBACK.fullmatch(home) is None


def read_address(text: str) -> Address:
    """Return the address of one object. Raises AddressFlaw."""
    address = _read(text)
    if not address.key or address.key.endswith("/"):
        raise AddressFlaw(
            "not-a-file",
            f'"{address}" names no object',
            f"Name each object; `bulk-upload scan {address.base}/PREFIX` writes a manifest for a prefix"
            if address.scheme in LISTED
            else "Name each file; a web server has no list of them",
        )
    return address


def read_prefix(text: str) -> Address:
    """Return the address of all objects whose keys begin with a prefix, or of one object. Raises AddressFlaw.

    The prefix ends where a part of the keys does: `s3://b/data` has `data` and `data/x`, never `database`.
    """
    address = _read(text.rstrip("/") if scheme_of(text) in LISTED and text.count("/") > 2 else text)
    if address.scheme in WEB:
        raise AddressFlaw(
            "no-list",
            f'"{address}" cannot be listed',
            "Write a manifest that names each file of the web server",
        )
    return address


def _read(text: str) -> Address:
    scheme = scheme_of(text)
    if scheme not in SCHEMES:
        if scheme == "file":
            raise AddressFlaw(
                "unknown-scheme", "the address of a file", "Write the path itself, without file://"
            )
        raise AddressFlaw(
            "unknown-scheme",
            f'no objects are read from "{scheme}://"',
            f"Use {NAMED_SCHEMES}, or a path",
        )
    if scheme == HUB:
        return _of_hub(text[len(scheme) + 3 :])
    home, _, key = text[len(scheme) + 3 :].partition("/")
    _refuse_secrets(scheme, home, key)
    if scheme in WEB:
        home, key = _of_web(scheme, home, key)
    elif scheme in FILESYSTEMS:
        home = _host(scheme, home).lower()
    elif _BUCKET.fullmatch(home) is None:
        what = "container" if scheme == "az" else "bucket"
        raise AddressFlaw(
            "bad-address", f'"{scheme}://" is followed by no {what}', f"Write {scheme}://NAME/KEY"
        )
    _require_usable(key)
    return Address(scheme, home, key)


def _of_hub(rest: str) -> Address:
    _refuse_secrets(HUB, "", rest)
    try:
        home, key = hub_home_of(rest)
    except HubFlaw as flaw:
        raise AddressFlaw("bad-address", str(flaw), flaw.remedy) from None
    _require_usable(key)
    return Address(HUB, home, key)


def _refuse_secrets(scheme: str, home: str, key: str) -> None:
    if "@" in home:
        raise AddressFlaw(
            "address-with-password",
            f"an address of {scheme}:// has a user name or a password",
            "Remove it, and let the credentials come from the store's usual places or from bulk-upload.toml: "
            "an address is written to the ledger",
        )
    if _SIGNED.search(key) or (scheme in WEB and _SIGNED.search(home)):
        raise AddressFlaw(
            "signed-address",
            f'an address of "{scheme}://{home.partition("?")[0]}" is signed',
            "Name the object without its query, such as s3://BUCKET/KEY, and give access by credentials: a signature "
            "expires, and would lie in the ledger",
        )


def _of_web(scheme: str, home: str, key: str) -> tuple[str, str]:
    if "?" in home or "#" in home or "?" in key or "#" in key:
        raise AddressFlaw(
            "address-with-query",
            f'an address of "{scheme}://{re.split("[?#]", home)[0]}" has a query or a fragment',
            "Name the file by its path alone; write %3F and %23 where its name has a question mark or a number sign",
        )
    _host(scheme, home)
    if _BAD_ESCAPE.search(key) or re.search("%2f", key, re.IGNORECASE):
        raise AddressFlaw(
            "bad-address",
            "the address has a % that no two digits follow, or an escaped /",
            "Correct the address",
        )
    try:
        decoded = unquote(key, errors="strict")
    except UnicodeDecodeError:
        raise AddressFlaw(
            "bad-address", "the escapes in the address are not UTF-8", "Correct the address"
        ) from None
    return home.lower().removesuffix(_DEFAULT_PORTS[scheme]), decoded


def _host(scheme: str, home: str) -> str:
    if _HOST.fullmatch(home) is None:
        raise AddressFlaw(
            "bad-address", f'"{scheme}://" is followed by no host', f"Write {scheme}://HOST/PATH"
        )
    return home


def _require_usable(key: str) -> None:
    """Refuse keys that no request of ours can name."""
    parts = key.removesuffix("/").split("/") if key else []
    if "" in parts or "." in parts or ".." in parts:
        raise AddressFlaw(
            "bad-key",
            'the key has an empty part, or one that is "." or ".."',
            "Copy the object to a key without such parts; no request can name it reliably",
        )
    if not key.isprintable() and any(ord(one) < 32 or ord(one) == 127 for one in key):
        raise AddressFlaw("bad-key", "the key has a control character", "Copy the object to a key without it")
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise AddressFlaw("bad-key", "the key is not text", "Write the key in UTF-8") from None
    if size > KEY_BYTES_MAX:
        raise AddressFlaw("bad-key", f"the key is longer than {KEY_BYTES_MAX} bytes", "Correct the address")
