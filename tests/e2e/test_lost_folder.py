"""The ledger of a folder that is lost is rebuilt from the folder."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.stage import staged
from tests.e2e.witness import uploads_of


def test_the_ledger_of_a_folder_is_rebuilt_from_the_folder(tmp_path: Path) -> None:
    """With the options of its run; the next run sends nothing."""
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.jsonl").write_text(json.dumps({"text": f"number {number}"}) + "\n", "utf-8")
    with staged(tmp_path, keep=True) as stage:
        options = (str(folder), "--purpose", "pre-train")
        assert stage.call("run", *options, "--yes").code == 0
        stage.ledger.unlink()
        rebuilt = stage.call("ledger", "rebuild", *options)
        assert rebuilt.code == 0, rebuilt.stderr
        assert "Found: 6" in rebuilt.stderr
        assert stage.call("run", *options, "--yes").code == 0
        assert len(uploads_of(stage)) == 6
