"""The one rule for paths in a manifest. It checks names only; `edge.source_tree` checks the files."""

from __future__ import annotations

import msgspec

from bulk_upload.core.finding import Finding
from bulk_upload.core.text.wording import quoted


class PathComplaint(msgspec.Struct, frozen=True, kw_only=True):
    """Why a path cannot be used; the parts of a Finding that do not depend on the path's place in the manifest.

    `transient` means that the file system failed, which may pass.
    """

    rule: str
    found: str
    remedy: str
    transient: bool = False

    def finding(self, *, where: str, line_no: int | None = None, place: str | None = None) -> Finding:
        """Return the complaint as a finding about the manifest line that names the path."""
        return Finding(
            rule=self.rule, where=where, line_no=line_no, place=place, found=self.found, remedy=self.remedy
        )


_EMPTY = PathComplaint(rule="empty-path", found="the path is empty", remedy="Name the file to upload")


def relative_path(
    raw: str, *, root: str, allow_outside: bool, root_as_typed: str | None = None
) -> str | PathComplaint:
    """Return the path of a file relative to `root`, or why it is refused.

    `./a//b` becomes `a/b`, and an absolute path beneath the root becomes relative. With `allow_outside` a path
    elsewhere is returned absolute. Bytes that are not UTF-8 are surrogate escapes, as `os.fsdecode` makes them.

    `..` after a name (`a/../b`) is always refused: where `a` is a symbolic link, the system and this function
    would disagree about which file that is. Leading `..` is refused too, unless `allow_outside`.

    Args:
        raw: the path as the manifest has it.
        root: absolute, without symbolic links, `.` or `..`.
        allow_outside: whether files that are not beneath the root may be named.
        root_as_typed: another absolute spelling of the root, which may lead through symbolic links.
    """
    if is_plain(raw):
        return raw
    path = _canonical(raw)
    if isinstance(path, PathComplaint):
        return path
    parts = [part for part in path.split("/") if part not in ("", ".")]
    up_count = _leading_up_count(parts)
    if ".." in parts[up_count:] or (path[0] == "/" and up_count):
        return _ambiguous(path)
    if path[0] == "/":
        return _from_absolute("/" + "/".join(parts), (root, root_as_typed), allow_outside=allow_outside)
    if not up_count:
        return "/".join(parts)
    if not allow_outside:
        return outside_root(path, root)
    return _from_absolute(_climbed(root, parts, up_count), (root,), allow_outside=True)


def is_plain(raw: str) -> bool:
    """Whether a path is already relative, normalised and ASCII: `relative_path` returns it unchanged."""
    return (
        raw.isascii()
        and raw[:1] not in ("", "/", ".")
        and raw[-1] != "/"
        and "/." not in raw
        and "//" not in raw
        and "\0" not in raw
    )


def _canonical(raw: str) -> str | PathComplaint:
    """Return `raw` as `os.fsdecode` would spell the same bytes."""
    if not raw:
        return _EMPTY
    if "\0" in raw:
        return nul_in_path(raw)
    if raw.endswith(("/", "/.", "/..")) or raw in (".", ".."):
        return PathComplaint(
            rule="not-a-file",
            found=f"{quoted(raw)} names a folder",
            remedy="Name each file; `bulk-upload scan FOLDER` writes a manifest for a folder",
        )
    try:
        return raw.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return unencodable_path(raw)


def nul_in_path(path: str) -> PathComplaint:
    """Return the complaint about a path with a NUL character, which no file can have."""
    return PathComplaint(
        rule="nul-in-path",
        found=f"the path {quoted(path)} contains a NUL character",
        remedy="Correct the path; no file name can contain NUL",
    )


def unencodable_path(path: str) -> PathComplaint:
    """Return the complaint about a path with surrogates that are not escaped bytes."""
    return PathComplaint(
        rule="unencodable-path",
        found=f"the path {quoted(path)} contains half of a surrogate pair, which no file name can have",
        remedy="Correct the path; only \\udc80 to \\udcff stand for bytes that are not UTF-8",
    )


def _leading_up_count(parts: list[str]) -> int:
    for index, part in enumerate(parts):
        if part != "..":
            return index
    return len(parts)


def _climbed(root: str, parts: list[str], up_count: int) -> str:
    root_parts = [part for part in root.split("/") if part]
    kept = root_parts[: max(0, len(root_parts) - up_count)]
    return "/" + "/".join((*kept, *parts[up_count:]))


def _from_absolute(path: str, roots: tuple[str | None, ...], *, allow_outside: bool) -> str | PathComplaint:
    for root in roots:
        if root is not None and is_beneath(path, root):
            return path[len(root.rstrip("/")) + 1 :]
    return path if allow_outside else outside_root(path, roots[0] or "/")


def is_beneath(path: str, folder: str) -> bool:
    """Whether the absolute, normalised `path` is in `folder` or in a folder of it; `folder` itself is not."""
    return path.startswith(folder.rstrip("/") + "/") and len(path) > len(folder)


def _ambiguous(path: str) -> PathComplaint:
    return PathComplaint(
        rule="parent-in-path",
        found=f'{quoted(path)} contains ".." after a name',
        remedy='Write the path without ".."; where a folder is a symbolic link, ".." does not lead back',
    )


def outside_root(path: str, root: str) -> PathComplaint:
    """Return the complaint about a path that names something outside the root."""
    return PathComplaint(
        rule="outside-root",
        found=f"{quoted(path)} is not beneath the root {quoted(root)}",
        remedy="Move the file beneath the root, or choose a root that holds all files with --root",
    )
