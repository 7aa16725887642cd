"""Checks the archives that torch.save writes by their directory: nothing in them is unpickled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.machine.read_errors import is_transient
from bulk_upload.core.text.printable import printable
from bulk_upload.core.validation.file_types import ZIP_MAGIC, torch_complaint
from bulk_upload.core.validation.rules import Complaint

if TYPE_CHECKING:
    from typing import IO

_PICKLE = "data.pkl"
_SHOWN = 3


def torch_file_complaint(head: bytes, file: IO[bytes]) -> Complaint:
    """Return the finding about a PyTorch file. Raises OSError when the file system fails."""
    if not head.startswith(ZIP_MAGIC):
        return torch_complaint(head)
    import zipfile  # noqa: PLC0415 - few files are archives

    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except OSError as error:
        if is_transient(error):
            raise
        return Complaint("bad-torch", "the directory of the archive cannot be read: the file was cut off")
    except Exception:  # noqa: BLE001 - zipfile raises whatever the bytes lead it to
        return Complaint("bad-torch", "the directory of the archive cannot be read: the file was cut off")
    names = [member.filename for member in members]
    pickles = [name for name in names if name.rpartition("/")[2] == _PICKLE and name.count("/") <= 1]
    if not pickles:
        shown = printable(", ".join(names[:_SHOWN])[:120]) or "nothing"
        return Complaint("bad-torch", f"the file is a ZIP archive without {_PICKLE}: it holds {shown}")
    folder = pickles[0].rpartition("/")[0]
    empty = next((one.filename for one in members if one.filename == pickles[0] and not one.file_size), None)
    if empty is not None:
        return Complaint("bad-torch", f"{printable(empty)} in the archive is empty")
    tensors = sum(1 for name in names if name.startswith(f"{folder}/data/" if folder else "data/"))
    return Complaint(
        "torch-unread",
        f"an archive as torch.save writes it, with {tensors:,} tensors by its directory; it was not loaded",
    )
