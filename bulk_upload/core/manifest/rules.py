"""The rules a manifest is read by, and the checks on every entry, whatever its format."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from bulk_upload.core.finding import Finding
from bulk_upload.core.manifest.addresses import usable_address
from bulk_upload.core.manifest.paths import PathComplaint, is_plain, relative_path
from bulk_upload.core.manifest.sent_name import portable_name, sent_name
from bulk_upload.core.model import Entry
from bulk_upload.core.objects.address import is_address
from bulk_upload.core.purposes import PURPOSES, purpose_remedy, unknown_purpose
from bulk_upload.core.text.wording import did_you_mean, quoted
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bulk_upload.core.manifest.name_template import NameTemplate

FIELD_NAMES = ("path", "purpose", "remote_name", "vector_database_id", "fields")
"""The fields of an entry. Other form fields go under `fields`."""

LINE_BYTES_MAX = 1024 * 1024
"""The longest line of a manifest, its line end included: a path has at most 4 KiB."""

_TAKEN_FORM_FIELDS = frozenset({"purpose", "vector_database_id"})


class ManifestRules(msgspec.Struct, frozen=True, kw_only=True):
    """The rules a manifest is read by.

    `where` names the manifest in findings, and its suffix decides where the content does not show the format.
    `root` and `root_as_typed` are those of `paths.relative_path`. Without `strict_paths` a path that no file can have is
    no finding: the entry has it as it is, and the source tree refuses it. `default_purpose` is for entries that name
    none. `file_field` is the form field of the file itself, which no entry may set. `name_template` names the files
    of entries without a `remote_name`; with `portable_names` every name becomes one that `portable_name` returns.
    `allow_plain_http` allows addresses of other machines without encryption.

    Raises:
        UsageError: `default_purpose` is not a known purpose.
    """

    where: str
    root: str
    root_as_typed: str | None = None
    allow_outside: bool = False
    strict_paths: bool = True
    default_purpose: str | None = None
    purposes: tuple[str, ...] = tuple(PURPOSES)
    allow_unknown_purpose: bool = False
    file_field: str = "files"
    name_template: NameTemplate | None = None
    portable_names: bool = False
    allow_plain_http: bool = False

    def __post_init__(self) -> None:
        if self.default_purpose is not None and not self.knows(self.default_purpose):
            raise UsageError(
                unknown_purpose(self.default_purpose),
                hint=purpose_remedy(self.default_purpose, self.purposes),
            )

    def knows(self, purpose: str) -> bool:
        """Whether entries may have this purpose."""
        return purpose in self.purposes or (self.allow_unknown_purpose and purpose != "")

    def named(self, entry: Entry) -> Entry:
        """Return an entry with the name that the template gives it, if there is one, as far as the server keeps it."""
        if self.name_template is not None:
            entry = self.name_template.named(entry)
        if not self.portable_names:
            return entry
        sent = sent_name(entry.path, entry.remote_name)
        kept = portable_name(sent)
        return entry if kept == sent else replace(entry, remote_name=kept)

    def finding(
        self, rule: str, line_no: int | None, *, found: str, remedy: str, place: str | None = None
    ) -> Finding:
        """Return a finding about this manifest."""
        return Finding(rule=rule, where=self.where, line_no=line_no, place=place, found=found, remedy=remedy)


def checked_entry(
    rules: ManifestRules,
    *,
    line_no: int,
    path: str | None,
    purpose: str | None,
    remote_name: str | None,
    vector_database_id: str | None,
    fields: Collection[tuple[str, str]],
    faults: Sequence[Finding] = (),
) -> Entry | list[Finding]:
    """Return the entry, or everything that is wrong with it, `faults` first.

    A field that `faults` already names is not complained about again.
    """
    usable_purpose = purpose if purpose is not None else rules.default_purpose
    if (
        path is not None
        and remote_name is None
        and vector_database_id is None
        and not fields
        and not faults
        and usable_purpose in rules.purposes
        and is_plain(path)
    ):
        # Nearly all entries of a large manifest are like this one.
        return rules.named(Entry(path=path, purpose=usable_purpose, line_no=line_no))
    usable_path = _usable_path(rules, path)
    # A bad address may have a password in it: it never becomes an entry.
    if path and isinstance(usable_path, PathComplaint) and not rules.strict_paths and not is_address(path):
        usable_path = path
    form_fields = tuple(sorted(fields))
    complaints = (
        [_path_finding(usable_path, rules, line_no)] if isinstance(usable_path, PathComplaint) else []
    )
    complaints += _purpose_findings(rules, line_no, usable_purpose)
    complaints += _text_findings(rules, line_no, "remote_name", remote_name)
    complaints += _text_findings(rules, line_no, "vector_database_id", vector_database_id)
    for name, value in form_fields:
        complaints += _form_field_findings(rules, line_no, name, value)
    already = {fault.place for fault in faults}
    findings = [*faults, *(complaint for complaint in complaints if complaint.place not in already)]
    if findings or isinstance(usable_path, PathComplaint) or usable_purpose is None:
        return findings
    return rules.named(
        Entry(
            path=usable_path,
            purpose=usable_purpose,
            remote_name=remote_name,
            vector_database_id=vector_database_id,
            fields=form_fields,
            line_no=line_no,
        )
    )


def too_long(rules: ManifestRules, line_no: int) -> Finding:
    """Return the finding about a line that is longer than any entry can be."""
    return rules.finding(
        "line-too-long",
        line_no,
        found=f"the line is longer than {LINE_BYTES_MAX // 1024} KiB",
        remedy="Check that this file is the manifest and not the data; an entry is one short line",
    )


def _usable_path(rules: ManifestRules, path: str | None) -> str | PathComplaint:
    if path is None:
        return PathComplaint(
            rule="missing-path", found='the entry has no "path"', remedy="Name the file to upload in `path`"
        )
    if is_address(path):
        return usable_address(path, allow_plain_http=rules.allow_plain_http)
    return relative_path(
        path, root=rules.root, allow_outside=rules.allow_outside, root_as_typed=rules.root_as_typed
    )


def _path_finding(complaint: PathComplaint, rules: ManifestRules, line_no: int) -> Finding:
    return complaint.finding(where=rules.where, line_no=line_no, place="path")


def _purpose_findings(rules: ManifestRules, line_no: int, purpose: str | None) -> list[Finding]:
    if purpose is None:
        return [
            rules.finding(
                "missing-purpose",
                line_no,
                place="purpose",
                found='the entry has no "purpose"',
                remedy="Add a purpose, or give one for all entries without it: --purpose PURPOSE",
            )
        ]
    if not purpose or not _is_text(purpose):
        return _text_findings(rules, line_no, "purpose", purpose)
    if rules.knows(purpose):
        return []
    remedy = purpose_remedy(purpose, rules.purposes)
    found = unknown_purpose(purpose)
    return [rules.finding("unknown-purpose", line_no, place="purpose", found=found, remedy=remedy)]


def _text_findings(rules: ManifestRules, line_no: int, place: str, text: str | None) -> list[Finding]:
    if text is None:
        return []
    if not text:
        remedy = "Give it a value or leave it out"
        return [
            rules.finding("empty-value", line_no, place=place, found=f'"{place}" is empty', remedy=remedy)
        ]
    if _is_text(text):
        return []
    return [_not_text(rules, line_no, place)]


def _form_field_findings(rules: ManifestRules, line_no: int, name: str, value: str) -> list[Finding]:
    findings = []
    place = f"fields.{name}"
    if not name or not name.isprintable() or '"' in name or "\\" in name:
        found = f"{quoted(name)} cannot be the name of a form field"
        remedy = 'Use a name without control characters, " or \\'
        findings.append(rules.finding("bad-field-name", line_no, place=place, found=found, remedy=remedy))
    elif name in _TAKEN_FORM_FIELDS or name == rules.file_field:
        found = f"the form field {quoted(name)} is set by bulk-upload itself"
        remedy = (
            f"Write `{name}` beside `path`, not in `fields`" if name in _TAKEN_FORM_FIELDS else "Remove it"
        )
        findings.append(rules.finding("reserved-field", line_no, place=place, found=found, remedy=remedy))
    if not _is_text(value):
        findings.append(_not_text(rules, line_no, place))
    return findings


def _not_text(rules: ManifestRules, line_no: int, place: str) -> Finding:
    return rules.finding(
        "not-text",
        line_no,
        place=place,
        found="the value is not valid Unicode text",
        remedy="Save the manifest as UTF-8; only `path` may hold bytes that are not UTF-8",
    )


def _is_text(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def unknown_field_remedy(name: str) -> str:
    """Return what to do about a field or column that no entry has."""
    return (
        f"{did_you_mean(name, FIELD_NAMES)}Entries have {', '.join(FIELD_NAMES)}; "
        "further form fields go under `fields` (in CSV: a column `fields.<name>`)"
    )
