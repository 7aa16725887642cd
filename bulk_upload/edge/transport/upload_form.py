"""What an upload is made of beside the bytes of its files: its address, and the form around them."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from bulk_upload.core.api.multipart import Frame, file_heads, form_end, frame
from bulk_upload.core.api.profile import UploadBodyKind
from bulk_upload.edge.transport.addresses import bulk_url, upload_url

if TYPE_CHECKING:
    from yarl import URL

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.run.sender import BundleRequest, UploadRequest


class UploadForm:
    """How the uploads of one run tell the server what a file is, as the profile says.

    In a form, or, where the body is the file's bytes alone, by parameters of the address.
    """

    def __init__(self, endpoint: str, profile: Profile) -> None:
        self._endpoint = endpoint
        self._profile = profile
        self._url = upload_url(endpoint, profile)
        self._is_raw = profile.body is UploadBodyKind.RAW
        self._boundary = f"bulk-upload-{secrets.token_hex(16)}"

    @property
    def content_type(self) -> str:
        """The type of the whole body."""
        if self._is_raw:
            return "application/octet-stream"
        return self.bundle_type

    @property
    def bundle_type(self) -> str:
        """The type of a body with several files, which always is a form."""
        return f"multipart/form-data; boundary={self._boundary}"

    @property
    def bundle_url(self) -> URL:
        """Where several files in one request are sent to. Raises ValueError where the profile has no such call."""
        return bulk_url(self._endpoint, self._profile)

    @property
    def end(self) -> bytes:
        """What goes after the last file of a form."""
        return form_end(self._boundary)

    def bundle_heads(self, request: BundleRequest) -> list[bytes]:
        """Return what goes before each file of a bundle, in order."""
        return file_heads(
            fields=request.fields,
            file_field=self._profile.bulk_field or self._profile.file_field,
            filenames=[one.sent_name for one in request.members],
            boundary=self._boundary,
        )

    def url(self, request: UploadRequest) -> URL:
        """Return where a file is sent to."""
        if not self._is_raw:
            return self._url
        told = (*request.fields, (self._profile.file_field, request.sent_name))
        return self._url.update_query([(name, _utf_8(value)) for name, value in told])

    def frame(self, request: UploadRequest) -> Frame:
        """Return the bytes around the file's."""
        if self._is_raw:
            return Frame(b"", b"")
        return frame(
            fields=request.fields,
            file_field=self._profile.file_field,
            filename=request.sent_name,
            boundary=self._boundary,
        )


def _utf_8(text: str) -> str:
    """Return a text that can be sent, as in a form: a name that is no text has question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")
