"""The file with the token of a run."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from bulk_upload.cli.fleet.token_file import token_in, token_made
from bulk_upload.edge.fleet.access import new_token
from bulk_upload.errors import UsageError


def test_a_file_that_is_not_there_is_written_for_its_owner_alone(tmp_path: Path) -> None:
    """And the next run, as the agents do, reads the same token."""
    path = tmp_path / "token"
    token = token_made(str(path), new_token())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert token_made(str(path), new_token()) == token == token_in(str(path))


def test_a_token_that_others_can_read_is_none(tmp_path: Path) -> None:
    """The message says how to mend that, and never shows the token."""
    path = tmp_path / "my token"
    path.write_text(new_token(), "ascii")
    path.chmod(0o644)
    with pytest.raises(UsageError) as caught:
        token_in(str(path))
    assert caught.value.hint == f"chmod 600 '{path}'"
    assert "token-" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "short", "two words in this one line", "x" * 2000])
def test_what_cannot_be_a_token_is_refused(tmp_path: Path, content: str) -> None:
    """An empty or mistaken file is named."""
    path = tmp_path / "token"
    path.touch(0o600)
    path.write_text(content, "ascii")
    with pytest.raises(UsageError, match="there is no token in"):
        token_in(str(path))


def test_a_file_that_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    """With the reason of the system."""
    with pytest.raises(UsageError, match=os.strerror(2)):
        token_in(str(tmp_path / "missing"))
    with pytest.raises(UsageError, match=os.strerror(2)):
        token_made(str(tmp_path / "missing" / "token"), new_token())
