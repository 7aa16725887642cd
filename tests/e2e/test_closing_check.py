"""The closing check of a run, at a real server."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.stage import staged
from tests.e2e.trees import plain_tree
from tests.e2e.witness import lists_of, uploads_of


def test_a_run_asks_once_and_one_that_sends_nothing_not_at_all(tmp_path: Path) -> None:
    """Its check, and the look before a first upload. With --confirm off and --send-again no run asks for the list."""
    with staged(tmp_path) as stage:
        stage.use(plain_tree(tmp_path / "tree", count=12, size=100))
        stage.run(expect=0)
        assert len(lists_of(stage)) == 2
        stage.run(expect=0)
        assert len(lists_of(stage)) == 2
        other = str(tmp_path / "other.ledger.db")
        stage.run("--ledger", other, "--confirm", "off", "--send-again", expect=0)
        assert (len(lists_of(stage)), len(uploads_of(stage))) == (2, 24)
