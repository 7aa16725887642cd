"""The values used everywhere: entry, fingerprint, attempt, outcome, receipt."""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum

import msgspec

from bulk_upload.core.content_hash import blake3_in, sha256_in

_json = json.JSONEncoder().encode


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One manifest line: a file and its use at the server.

    `path` is relative to the job's root, `/`-separated and free of `.` and `..`; bytes that are not UTF-8 are
    kept as surrogate escapes (`os.fsdecode`). It may be the address of an object instead. `remote_name` is the name at the server, by default the file's own;
    `vector_database_id` the database that the file is for. `fields` are further form fields, sorted by name. `line_no` is
    the line of the manifest, from 1, and 0 where there is none.
    """

    path: str
    purpose: str
    remote_name: str | None = None
    vector_database_id: str | None = None
    fields: tuple[tuple[str, str], ...] = ()
    line_no: int = 0

    @property
    def key(self) -> bytes:
        """The entry's identity within a job: 16 bytes over path, purpose, vector database and fields."""
        if self.vector_database_id is None and not self.fields:
            # Nearly all entries take this path; the result equals the other line's, four times as fast.
            identity = f"[{_json(self.path)}, {_json(self.purpose)}, null, []]"
        else:
            identity = _json([self.path, self.purpose, self.vector_database_id, self.fields])
        return hashlib.blake2b(identity.encode("ascii"), digest_size=16).digest()


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """Distinguishes versions of a file, or of an object in a store, without reading it.

    `ctime_ns` is the time of the last change, also of attributes: a program that sets a modification time back cannot
    set this one. None where it is not known: in a ledger of an earlier version, and by `Job.ignore_ctime`.

    An object has `etag` and `version` as its store gives them, each None where it gives none; `inode` is 0 then, and
    `mtime_ns` the store's time. The quotes of an entity tag are left out, `W/` marks a weak one.
    """

    size: int
    mtime_ns: int
    inode: int
    ctime_ns: int | None = None
    etag: str | None = None
    version: str | None = None

    @property
    def strong_etag(self) -> str | None:
        """The entity tag, where an equal one proves equal content (RFC 9110, section 8.8.1)."""
        return None if self.etag is None or self.etag.startswith("W/") else self.etag

    def same_version(self, other: Fingerprint | None) -> bool:
        """Whether nothing distinguishes two versions of a file; a change time that is not known does not."""
        return (
            other is not None
            and self.same_but_ctime(other)
            and (self.ctime_ns is None or other.ctime_ns is None or self.ctime_ns == other.ctime_ns)
        )

    def same_but_ctime(self, other: Fingerprint) -> bool:
        """Whether two versions of a file differ in their change times at most, as after a new hard link."""
        if self.etag is None and other.etag is None and self.version is None and other.version is None:
            return (self.size, self.mtime_ns, self.inode) == (other.size, other.mtime_ns, other.inode)
        return self.size == other.size and self.inode == other.inode and self._same_object(other)

    def _same_object(self, other: Fingerprint) -> bool:
        """Whether two versions of an object, equal in size, are the same one.

        A strong entity tag speaks for the content: an object that was written again with the same bytes keeps it, and
        its time means nothing. Otherwise its time is a file's modification time.
        """
        if self.version is not None and self.version == other.version:
            return True
        if self.strong_etag is not None and other.strong_etag is not None:
            return self.strong_etag == other.strong_etag
        return self.mtime_ns == other.mtime_ns and self.etag == other.etag


class EntryState(StrEnum):
    """The state of an entry. The values are the `status` column of every export.

    `pending`: the next run sends it. `in_doubt`: the server may have it. `accepted`: it has a receipt. `rejected`: the server
    refused it. `failed_local`: the file is missing, cannot be read or changed meanwhile. `invalid`: validation found
    errors in it. `withdrawn`: the server no longer has the file of its receipt.
    """

    PENDING = "pending"
    IN_DOUBT = "in_doubt"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    FAILED_LOCAL = "failed_local"
    INVALID = "invalid"
    WITHDRAWN = "withdrawn"

    @property
    def settled(self) -> bool:
        """Whether a rerun skips the entry unless the person asks otherwise."""
        return self not in (EntryState.PENDING, EntryState.IN_DOUBT)


class SentBody(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt put on the wire.

    `complete` is True from the moment before the last piece was handed over: False proves that the server
    cannot have the file, True only that it may. `handed_bytes` counts the bytes of the form that were handed over,
    `content_hash` is of the file's bytes, known once all were read.
    """

    sent_name: str
    purpose: str
    file_bytes: int
    complete: bool
    handed_bytes: int = 0
    content_hash: str | None = None
    fingerprint: Fingerprint | None = None

    @property
    def sha256(self) -> str | None:
        """The SHA-256 of the file's bytes, None where another hash was made, or none."""
        return sha256_in(self.content_hash)


class RateLimitInfo(msgspec.Struct, frozen=True):
    """The server accepts `remaining` more requests within the next `reset_s` seconds."""

    remaining: int
    reset_s: float


class AlteredField(StrEnum):
    """A field that a server may store in another form than it was sent."""

    NAME = "name"
    PURPOSE = "purpose"


class Altered(msgspec.Struct, frozen=True, kw_only=True):
    """A field that the server reports otherwise than it was sent. Both values are printable and of limited length."""

    field: AlteredField
    sent: str
    stored: str

    def __str__(self) -> str:
        verb = "named it" if self.field is AlteredField.NAME else "recorded the purpose"
        return f"the server {verb} {self.stored!r}, sent was {self.sent!r}"


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The server has the file. `size_confirmed` says whether it reported the size we sent.

    `altered` is what it stores otherwise than it was sent, by its habit or its profile; `warnings` says so in words.
    `allowance` is the server's quota, where the answer states it.
    """

    file_id: str
    http_status: int
    size_confirmed: bool
    created_at: str | None = None
    request_id: str | None = None
    warnings: tuple[str, ...] = ()
    altered: tuple[Altered, ...] = ()
    allowance: RateLimitInfo | None = None


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """A 4xx about this file: a retry will not help."""

    http_status: int
    reason: str
    request_id: str | None = None


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """401 or 403: the credentials are in question, not the file. 404 or 405 on every entry: the address is.

    `remedy` says what a person must do where neither is: the account is at its limit.
    """

    http_status: int
    reason: str
    request_id: str | None = None
    remedy: str | None = None


class Misdirected(msgspec.Struct, frozen=True, kw_only=True):
    """Any 3xx: uploads are never redirected. `location_host` is where the server pointed."""

    http_status: int
    location_host: str
    request_id: str | None = None


class Throttled(msgspec.Struct, frozen=True, kw_only=True):
    """429, or 503 with Retry-After: the server asks all uploads to wait. None means it did not say how long."""

    http_status: int
    retry_after_s: float | None
    reason: str = ""
    request_id: str | None = None
    allowance: RateLimitInfo | None = None


class Unavailable(msgspec.Struct, frozen=True, kw_only=True):
    """The attempt failed before the body was complete: the server cannot have the file.

    `answered` distinguishes a server that refused (5xx, 408) from one that could not be reached. `cut_off` says that
    the connection broke with part of the body sent: a server that refuses a body and closes at once looks like that,
    its answer lost with the connection. `remedy` is what a person must change where retries cannot help, such as an
    untrusted certificate.
    """

    reason: str
    http_status: int | None = None
    request_id: str | None = None
    cut_off: bool = False
    remedy: str | None = None

    @property
    def answered(self) -> bool:
        """Whether there was an HTTP answer at all."""
        return self.http_status is not None


class InDoubt(msgspec.Struct, frozen=True, kw_only=True):
    """The body was complete and the answer is lost, unusable or a 5xx: the server may have the file.

    `answered` is True when a well-formed HTTP status arrived; `candidate_id` keeps an id from an
    answer that was not credible. `at_its_word` is what a success would mean whose only flaw is that name or purpose are
    not what was sent. `is_there_already` says that the server refused the file because it has it as the candidate. `id_kind` says of which kind an id is that cannot be used, such as "a number".
    `agent_lost` says that the agent which made the request is lost: this says nothing about the server.
    """

    reason: str
    answered: bool
    http_status: int | None = None
    candidate_id: str | None = None
    request_id: str | None = None
    at_its_word: Accepted | None = None
    is_there_already: bool = False
    id_kind: str | None = None
    agent_lost: bool = False


class SourceFailed(msgspec.Struct, frozen=True, kw_only=True):
    """The file changed while it was sent, cannot be read, or was found invalid on its way. The server has no part of it.

    `inaccessible` means that it is not there or may not be read: the next run looks again. `invalid` means that
    validation found errors in it.
    """

    reason: str
    inaccessible: bool = False
    invalid: bool = False


class NotSent(msgspec.Struct, frozen=True, kw_only=True):
    """The attempt ended before the body was complete for a reason of our own: drain, cancel, local limits.

    `transient` means that the file system failed to read the file, which may pass.
    """

    reason: str
    local_limit: bool = False
    transient: bool = False


Outcome = (
    Accepted | Rejected | Refused | Misdirected | Throttled | Unavailable | InDoubt | SourceFailed | NotSent
)
"""What one attempt ended with."""


class ReceiptOrigin(StrEnum):
    """How the file id of a receipt was obtained: by the upload's answer, from the server's list, from a person.

    `found` is from the list as well, of a file that this ledger does not know to have sent: it was rebuilt.
    """

    ANSWERED = "answered"
    RECONCILED = "reconciled"
    ADOPTED = "adopted"
    FOUND = "found"


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The durable binding of a path and its content to the id the server gave it.

    `file_bytes` and `content_hash` are of what was sent, the hash None where none was made, else a text as in
    `core.content_hash`; `sent_name` is the name that the server was told. `obtained` says where the id came from,
    `size_confirmed` that the server reported the same size. `settled_utc` is UTC as a text.
    """

    path: str
    purpose: str
    file_id: str
    file_bytes: int
    content_hash: str | None
    sent_name: str
    obtained: ReceiptOrigin
    size_confirmed: bool
    settled_utc: str

    @property
    def sha256(self) -> str | None:
        """The SHA-256 of what was sent, None where another hash was made, or none."""
        return sha256_in(self.content_hash)

    @property
    def blake3(self) -> str | None:
        """The BLAKE3 of what was sent, None where another hash was made, or none."""
        return blake3_in(self.content_hash)


class ListedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file as the server's list shows it. Only `file_id` is always present.

    Without `has_id` the list shows no id that can be used: `file_id` then is what it shows in its place, for people, and
    the file is evidence that something is there, never a receipt.
    """

    file_id: str
    has_id: bool = True
    filename: str | None = None
    bytes: int | None = None
    purpose: str | None = None
    created_at: str | None = None
