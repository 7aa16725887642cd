"""A ledger serves one run at a time, and one job only."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.stage import staged
from tests.e2e.trees import plain_tree
from tests.e2e.witness import stored_of, uploads_of


def test_a_second_run_is_refused_at_once(tmp_path: Path) -> None:
    """While a run works on a ledger, another is refused: exit 11 in a moment, with the holder's pid, nothing sent."""
    tree = plain_tree(tmp_path / "tree", count=4, size=100)
    with staged(tmp_path, "delay:600*4") as stage:
        stage.use(tree)
        first = stage.start_run()
        first.until(lambda: len(stored_of(stage)) == 4, "four uploads in flight")
        second = stage.run(expect=11)
        assert first.running
        assert f"pid {first.pid}" in second.stderr
        assert len(uploads_of(stage)) == 4


def test_a_ledger_of_another_job_is_refused(tmp_path: Path) -> None:
    """A ledger of another endpoint or another team is refused with exit 11 and both names; nothing is sent."""
    tree = plain_tree(tmp_path / "tree", count=2, size=100)
    with staged(tmp_path) as stage:
        stage.use(tree)
        stage.run("--team", "blue", expect=0)
        ledger = ("--ledger", str(stage.ledger))
        other_team = stage.start_run(*ledger, "--team", "red").wait()
        other_endpoint = stage.run(*ledger, "--team", "blue", url="http://127.0.0.1:9", expect=11)
        assert other_team.code == 11
        assert "team blue" in other_team.stderr
        assert "red" in other_team.stderr
        assert stage.url in other_endpoint.stderr
        assert "http://127.0.0.1:9" in other_endpoint.stderr
        assert len(uploads_of(stage)) == 2
