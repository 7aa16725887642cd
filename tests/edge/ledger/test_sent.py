"""What the ledger knows of contents that were sent, to compare files at the server with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bulk_upload.core.model import Fingerprint, ListedFile
from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.ledger import own_files, second_copies_seen, sent_content
from bulk_upload.edge.ledger.reading.sent import OWN_FILES_MAX
from tests.edge.ledger.stage import LOST, PRINT, START_S, accepted, entry, stored

if TYPE_CHECKING:
    from pathlib import Path

SHA256 = "a" * 64


def listed(file_id: str, *, name: str = "name", size: int = 100, purpose: str = "fine-tune") -> ListedFile:
    return ListedFile(
        file_id=file_id, filename=name, bytes=size, purpose=purpose, created_at=utc_text(START_S)
    )


def test_what_an_attempt_sent(tmp_path: Path) -> None:
    """Path, version, hash and time: odd names and a run that died included."""
    with stored(tmp_path / "l.db") as store:
        (one, two) = store.known(entry("a\udce9.jsonl"), entry("b"))
        store.tried(one, LOST, utc_s=START_S + 1)
        sent = sent_content(store, 1)
        assert (sent.path, sent.fingerprint, sent.content_hash) == ("a\udce9.jsonl", PRINT, SHA256)
        assert (sent.began_utc_s, sent.ended_utc_s) == (START_S + 1, START_S + 1)
        store.intended(two, utc_s=START_S + 2)
        store.begin_run(version="1.0", utc_s=START_S + 60)
        dead = sent_content(store, 2)
        assert (dead.content_hash, dead.began_utc_s) == (None, START_S + 2)
        assert START_S + 2 <= dead.ended_utc_s <= START_S + 60
        with pytest.raises(LookupError):
            sent_content(store, 77)


def test_own_files_are_the_smallest_that_answers_named(tmp_path: Path) -> None:
    """Not those without a hash, replaced ones, or empty ones: each must show how the server returns content."""
    with stored(tmp_path / "l.db") as store:
        entries = store.known(*(entry(f"{number}") for number in range(6)))
        for number, one in enumerate(entries):
            print_ = Fingerprint(size=(50, 0, 10, 40, 30, 20)[number], mtime_ns=1, inode=number)
            store.tried(one, accepted(f"id-{number}"), print_)
        store.tried(entries[2], accepted("id-newer"), Fingerprint(size=99, mtime_ns=2, inode=2))
        found = own_files(store)
        assert [(one.file_id, one.path, one.file_bytes) for one in found] == [
            ("id-5", "5", 20),
            ("id-4", "4", 30),
            ("id-3", "3", 40),
        ]
        assert len(found) == OWN_FILES_MAX
        store.connection.execute("UPDATE receipts SET sha256 = NULL")
        assert own_files(store) == []


def test_copies_that_no_attempt_explains(tmp_path: Path) -> None:
    """A file like one with a receipt, and with none of its own; not while an attempt may have left it."""
    with stored(tmp_path / "l.db") as store:
        (one, two) = store.known(entry("a"), entry("b"))
        store.tried(one, accepted("id-1"))
        files = [
            listed("id-1"),
            listed("id-2"),
            listed("id-3", name="other"),
            listed("id-4", size=99),
            listed("id-5", purpose="pre-train"),
        ]
        (copy,) = second_copies_seen(store, files)
        assert (copy.file.file_id, copy.path, copy.file_bytes, copy.content_hash) == (
            "id-2",
            "a",
            100,
            SHA256,
        )
        assert second_copies_seen(store, []) == []
        assert second_copies_seen(store, files[:1]) == []
        # `name` is in flight for the other entry, then its answer is lost: either may have left the file.
        attempt = store.intended(two)
        assert second_copies_seen(store, files) == []
        store.mark_not_sent([attempt], reason="", utc_s=START_S)
        assert len(second_copies_seen(store, files)) == 1
        store.tried(two, LOST)
        assert second_copies_seen(store, files) == []


def test_a_copy_under_a_name_that_the_server_gave_is_noticed(tmp_path: Path) -> None:
    """Only where the server is known to respell: there, attempts without an answer explain such a file, too."""
    with stored(tmp_path / "l.db") as store:
        (one, two) = store.known(entry("a"), entry("b"))
        store.tried(one, accepted("id-1"))
        files = [listed("id-1", name="NAME"), listed("id-2", name="up/NAME", purpose="finetune")]
        assert second_copies_seen(store, files) == []
        (copy,) = second_copies_seen(store, files, respelt=True)
        assert (copy.file.file_id, copy.path) == ("id-2", "a")
        store.tried(two, LOST)
        assert second_copies_seen(store, files, respelt=True) == []


def test_how_a_file_was_compared_is_kept(tmp_path: Path) -> None:
    """The decision has it as its detail."""
    with stored(tmp_path / "l.db") as store:
        (one,) = store.known(entry("a"))
        store.tried(one, LOST)
        (doubt,) = store.open_doubts()
        assert store.adopt(
            doubt, listed("id-1"), content_hash=None, utc_s=START_S, detail="content compared whole"
        )
        rows = store.connection.execute("SELECT decision, detail FROM decisions").fetchall()
        assert rows == [("adopted id-1", "content compared whole")]
