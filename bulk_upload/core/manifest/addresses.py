"""The rule for addresses of objects in a manifest, beside the one for paths."""

from __future__ import annotations

from bulk_upload.core.manifest.paths import PathComplaint
from bulk_upload.core.objects.address import Address, AddressFlaw, is_plain_to_elsewhere, read_address


def usable_address(text: str, *, allow_plain_http: bool) -> str | PathComplaint:
    """Return an address in its one form, or why it is refused. The complaint shows no password and no signature."""
    try:
        address = read_address(text)
    except AddressFlaw as flaw:
        return PathComplaint(rule=flaw.rule, found=str(flaw), remedy=flaw.remedy)
    if is_plain_to_elsewhere(address.scheme, address.home) and not allow_plain_http:
        return plain_http(address)
    return str(address)


def plain_http(address: Address) -> PathComplaint:
    """Return the complaint about an address of another machine without encryption."""
    return PathComplaint(
        rule="plain-http",
        found=f'"{address}" would be read without encryption: anybody on the way could change the data',
        remedy="Write https://, or pass --allow-plain-http for a network that you trust",
    )
