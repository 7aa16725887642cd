"""A ledger that is lost or copied: nothing is sent twice, and the command says what to do."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.e2e.servers import upload_as_stranger
from tests.e2e.stage import staged
from tests.e2e.trees import plain_tree
from tests.e2e.witness import row_by_path, uploads_of

COUNT = 80
CHANGED = 5


def test_a_rebuilt_ledger_sends_only_what_changed(tmp_path: Path) -> None:
    """The run with the new ledger says what it sees; after the rebuild five changed files are sent, two of equal size."""
    tree = plain_tree(tmp_path / "tree", count=COUNT, size=100)
    with staged(tmp_path, keep=True) as stage:
        stage.use(tree)
        stage.run(expect=0)
        stage.ledger.unlink()
        for options in ((), ("--quiet",)):
            said = stage.run("--deadline", "0s", *options, expect=5).stderr
            assert f"{COUNT} of {COUNT} entries to send" in said
            assert "ledger rebuild" in said
            stage.ledger.unlink()
        changed = tree.paths[:CHANGED]
        for number, path in enumerate(changed):
            content = Path(tree.full(path).decode()).read_bytes()
            other = content[:-1] + b"#" if number < 2 else content + content
            Path(tree.full(path).decode()).write_bytes(other)
        rebuilt = stage.call("ledger", "rebuild", str(stage.manifest))
        assert rebuilt.code == 0, rebuilt.stderr
        assert f"Found: {COUNT - CHANGED}" in rebuilt.stderr
        stage.run(expect=0)
        assert len(uploads_of(stage)) == COUNT + CHANGED
        stage.run(expect=0)
        assert len(uploads_of(stage)) == COUNT + CHANGED
        kept = stage.call("undo", str(stage.ledger), "--yes")
        assert kept.code == 3, kept.stderr
        assert len({row.file_id for row in row_by_path(stage).values() if row.file_id}) == COUNT - CHANGED


def test_a_copied_ledger_that_goes_on_elsewhere_sends_nothing_twice(tmp_path: Path) -> None:
    """The copy says before it sends that the original went on; after a rebuild it has every receipt, and 80 stay 80."""
    tree = plain_tree(tmp_path / "tree", count=COUNT, size=100)
    with staged(tmp_path, keep=True) as stage:
        stage.use(tree)
        whole = stage.manifest.read_bytes()
        stage.manifest.write_bytes(b"".join(whole.splitlines(keepends=True)[: COUNT // 2]))
        stage.run(expect=0)
        (tmp_path / "elsewhere").mkdir()
        copy = tmp_path / "elsewhere" / "copy.ledger.db"
        shutil.copy(stage.ledger, copy)
        with closing(sqlite3.connect(copy)) as ledger, ledger:
            # Not within the seconds by which the server's clock may be misjudged.
            ledger.execute("UPDATE runs SET started_utc = '2000-01-01T00:00:00.000000Z'")
        stage.manifest.write_bytes(whole)
        stage.run(expect=0)
        assert len(uploads_of(stage)) == COUNT
        for _ in range(2):
            said = stage.run("--ledger", str(copy), expect=11).stderr
            assert f"{COUNT // 2} of {COUNT // 2} entries to send" in said
            assert str(copy) in said
            assert str(stage.ledger) in said
            assert "ledger rebuild" in said
        rebuilt = stage.call("ledger", "rebuild", str(stage.manifest), "--ledger", str(copy))
        assert rebuilt.code == 0, rebuilt.stderr
        stage.run("--ledger", str(copy), expect=0)
        assert len(uploads_of(stage)) == COUNT


def test_files_are_sent_again_where_a_person_says_so(tmp_path: Path) -> None:
    """With --send-again a run does not look, and sends what the server has already."""
    tree = plain_tree(tmp_path / "tree", count=4, size=100)
    with staged(tmp_path) as stage:
        stage.use(tree)
        for path in tree.paths:
            content = Path(tree.full(path).decode()).read_bytes()
            upload_as_stranger(stage.url, filename=path.decode().rpartition("/")[2], content=content)
        before = len(uploads_of(stage))
        said = stage.run("--send-again", expect=0).stderr
        assert "this ledger is new" not in said
        assert len(uploads_of(stage)) == before + 4
