"""The answers of an object store: S3's XML and headers."""

from __future__ import annotations

import base64
import binascii
from email.utils import format_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote
from xml.sax.saxutils import escape

from aiohttp import web

from bulk_upload.sandbox.objects.faults import EtagKind, ObjectFaults

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk_upload.sandbox.objects.buckets import StoredObject
    from bulk_upload.sandbox.objects.shelf import Page

CODES = {
    304: "NotModified",
    400: "InvalidArgument",
    401: "Unauthorized",
    403: "AccessDenied",
    404: "NoSuchKey",
    405: "MethodNotAllowed",
    412: "PreconditionFailed",
    416: "InvalidRange",
    429: "TooManyRequests",
    500: "InternalError",
    503: "SlowDown",
}
"""The codes S3 gives with a status."""

_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def etag_of(stored: StoredObject, faults: ObjectFaults) -> str | None:
    """Return what stands in the header `ETag`, and in a listing."""
    if faults.etag is EtagKind.NONE:
        return None
    return f'{"W/" if faults.etag is EtagKind.WEAK else ""}"{stored.content.digest}"'


def object_headers(stored: StoredObject, faults: ObjectFaults) -> dict[str, str]:
    """Return what is said about an object, its length aside."""
    headers = {
        "Content-Type": "application/octet-stream",
        "Last-Modified": format_datetime(stored.modified, usegmt=True),
    }
    if faults.ranges:
        headers["Accept-Ranges"] = "bytes"
    etag = etag_of(stored, faults)
    if etag is not None:
        headers["ETag"] = etag
    if faults.versions:
        headers["x-amz-version-id"] = stored.version
    return headers


def refusal(
    status: int, *, code: str | None = None, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return an error as S3 says it."""
    if status == HTTPStatus.NOT_MODIFIED:
        return web.Response(status=status, headers=headers)
    code = code if code is not None else CODES.get(status, f"Status{status}")
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else code
    body = f"{_XML}<Error><Code>{code}</Code><Message>{phrase}</Message></Error>"
    return web.Response(status=status, text=body, content_type="application/xml", headers=headers)


def listing(
    page: Page, query: Mapping[str, str], *, bucket: str, count: int, faults: ObjectFaults
) -> web.Response:
    """Return one page as ListObjectsV2 does."""
    encode = quote if query.get("encoding-type") == "url" else _escaped
    parts = [
        _tag("Name", _escaped(bucket)),
        _tag("Prefix", encode(query.get("prefix", ""))),
        _tag("KeyCount", str(len(page.objects) + len(page.common))),
        _tag("MaxKeys", str(count)),
        _tag("IsTruncated", "false" if page.last is None else "true"),
    ]
    if page.last is not None:
        parts.append(_tag("NextContinuationToken", token_of(page.last)))
    for one in page.objects:
        etag = etag_of(one, faults)
        fields = [
            _tag("Key", encode(one.key)),
            _tag("LastModified", one.modified.strftime("%Y-%m-%dT%H:%M:%S.000Z")),
            "" if etag is None else _tag("ETag", _escaped(etag)),
            _tag("Size", str(one.content.size)),
            _tag("StorageClass", "STANDARD"),
        ]
        parts.append(_tag("Contents", "".join(fields)))
    parts += [_tag("CommonPrefixes", _tag("Prefix", encode(one))) for one in page.common]
    body = f'{_XML}<ListBucketResult xmlns="{_NAMESPACE}">{"".join(parts)}</ListBucketResult>'
    return web.Response(text=body, content_type="application/xml")


def token_of(key: str) -> str:
    """Return the opaque text from which a listing goes on."""
    return base64.urlsafe_b64encode(key.encode()).decode("ascii")


def key_of_token(token: str) -> str | None:
    """Return where a listing goes on; None for a text that was never given."""
    try:
        return base64.urlsafe_b64decode(token.encode()).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def _tag(name: str, content: str) -> str:
    return f"<{name}>{content}</{name}>"


def _escaped(text: str) -> str:
    # XML has no control characters; S3 writes them as references all the same.
    return "".join(f"&#{ord(one)};" if ord(one) < 32 else one for one in escape(text))
