from __future__ import annotations

import pytest

from bulk_upload.cli.output.serving import address_of
from bulk_upload.errors import UsageError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("8099", ("127.0.0.1", 8099)), (":8099", ("127.0.0.1", 8099)), ("127.0.0.1", ("127.0.0.1", 0)),
        ("localhost:80", ("127.0.0.1", 80)), ("0.0.0.0:8099", ("0.0.0.0", 8099)), ("[::1]:8099", ("::1", 8099)), ("[::1]", ("::1", 0)),
    ],
)  # fmt: skip
def test_an_address_is_this_machine_unless_it_says_otherwise(text: str, address: tuple[str, int]) -> None:
    """A port alone is one of the loopback interface."""
    assert address_of(text) == address


@pytest.mark.parametrize("text", ["", "m.jsonl", "host.example:80", "127.0.0.1:99999", "127.0.0.1:x", "[::1"])
def test_what_is_no_address_is_a_mistake(text: str) -> None:
    """A manifest that follows `--serve` is taken for one: the hint says how to write it."""
    with pytest.raises(UsageError, match="no address") as caught:
        address_of(text)
    assert "--serve=ADDRESS" in str(caught.value.hint)
