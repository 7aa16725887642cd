"""What `undo` prints of the files that it keeps."""

from __future__ import annotations

import json

import pytest

from bulk_upload.cli.commands.undo import UndoTold
from bulk_upload.edge.ledger import Deleted
from bulk_upload.engine.after.undo import ADOPTED, Undone
from bulk_upload.exit_status import ExitStatus


def kept(number: int, reason: str) -> Undone:
    """Return a file that is kept."""
    return Undone(path=f"{number}.jsonl", file_id=f"file-{number}", outcome=Deleted.KEPT, reason=reason)


@pytest.mark.parametrize("as_json", [False, True])
def test_adopted_files_are_summed_up(capfd: pytest.CaptureFixture[str], *, as_json: bool) -> None:
    """After a rebuild all files are adopted: a few are shown, and one line says the rest. JSON has them all."""
    told = UndoTold(as_json=as_json)
    for number in range(200):
        told.tell(kept(number, ADOPTED))
    told.tell(kept(200, "it is not what was sent"))
    assert told.conclude([]) is ExitStatus.SOME_FAILED
    out, err = capfd.readouterr()
    lines = out.splitlines()
    if as_json:
        assert [json.loads(line)["reason"] for line in lines].count(ADOPTED) == 200
    else:
        assert lines == [
            *(f"kept      file-{number}  {number}.jsonl" for number in range(5)),
            "kept      file-200  200.jsonl  it is not what was sent",
        ]
    (line,) = [one for one in err.splitlines() if "--adopted" in one]
    assert line.startswith("Kept 200 files whose ID did not come with the answer")
    assert ("--json names all" in line) is not as_json
    assert "Kept 1 file: see the reasons above." in err
