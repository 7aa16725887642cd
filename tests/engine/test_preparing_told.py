from __future__ import annotations

from pathlib import Path

from bulk_upload import Job, Uploader
from bulk_upload.core.events import Event, PlanMade, Preparing


async def test_a_run_tells_how_far_its_plan_is(tmp_path: Path) -> None:
    """Entries are counted up while the manifest is read, all of it before the plan is told."""
    (tmp_path / "a.jsonl").write_text("{}\n")
    lines = [f'{{"path": "a.jsonl", "purpose": "p{number}"}}\n' for number in range(1300)]
    (tmp_path / "m.jsonl").write_text("".join(lines))
    heard: list[Event] = []
    uploader = Uploader(api_key="k", base_url="http://127.0.0.1:9", on_event=heard.append)
    async with uploader:
        run = uploader.run(Job(manifest=str(tmp_path / "m.jsonl"), force=True))
        run.drain()
        await run
    counts = [one.entry_count for one in heard if isinstance(one, Preparing)]
    assert counts == [512, 1024, 1300]
    kinds = [type(one) for one in heard if isinstance(one, Preparing | PlanMade)]
    assert kinds == [Preparing, Preparing, Preparing, PlanMade]


def test_a_plan_tells_how_far_it_is(tmp_path: Path) -> None:
    """The same counts, where a plan is all that is asked for."""
    (tmp_path / "a.jsonl").write_text("{}\n")
    (tmp_path / "m.jsonl").write_text('{"path": "a.jsonl", "purpose": "pre-train"}\n')
    counts: list[int] = []
    Uploader(api_key="k").plan(Job(manifest=str(tmp_path / "m.jsonl")), on_progress=counts.append)
    assert counts == [1]
