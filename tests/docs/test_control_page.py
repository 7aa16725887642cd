"""docs/how-to/control.md says what the command, the status and the socket are."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from bulk_upload.core.limits.bottleneck import Bottleneck
from bulk_upload.core.limits.capped import PIECE_BYTES_MIN
from bulk_upload.core.limits.caps import IN_FLIGHT_MAX
from bulk_upload.core.run.control import ControlStatus
from bulk_upload.edge.control.place import NAME_BYTES_MAX
from bulk_upload.engine.upkeep import TICK_S
from bulk_upload.exit_status import ExitStatus

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "control.md").read_text("utf-8")


def first_cells(heading: str) -> list[str]:
    """The names in the first column of the table with that heading."""
    table = re.search(rf"^\| {re.escape(heading)} \|.*\n\|---.*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert table is not None
    cells = [line.split("|")[1] for line in table[1].splitlines()]
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


def test_every_field_of_the_status_is_explained() -> None:
    """The page names the fields that exist, and no other."""
    fields = {one.name for one in msgspec.structs.fields(ControlStatus)}
    assert sorted(first_cells("field")) == sorted(fields | {"changes"})


def test_every_hold_is_explained() -> None:
    """Each by the name it has in JSON, in the order of the code."""
    assert first_cells("name") == [bottleneck.value for bottleneck in Bottleneck]


def test_the_numbers_are_right() -> None:
    """Sizes and codes on the page are those of the code."""
    assert f"than {IN_FLIGHT_MAX} needs" in PAGE
    assert f"more than {NAME_BYTES_MAX} bytes" in PAGE
    assert f"pieces of {PIECE_BYTES_MIN // 1024} KiB" in PAGE
    assert TICK_S == 0.25
    assert "four times a second" in PAGE
    assert f"{int(ExitStatus.NO_RUN)} no active run" in PAGE
