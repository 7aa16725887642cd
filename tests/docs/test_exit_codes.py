from __future__ import annotations

import re
from pathlib import Path

from bulk_upload.exit_status import PRECEDENCE, ExitStatus

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "exit-codes.md").read_text("utf-8")


def test_the_table_is_the_enum() -> None:
    """Each code has one row with its name and meaning, in the order of the enum, and there are no others."""
    rows = "\n".join(f"| {int(one)} | `{one.name}` | {one.meaning} |" for one in ExitStatus)
    table = f"| code | name | meaning |\n|---|---|---|\n{rows}\n"
    assert table in PAGE, f"the table in docs/reference/exit-codes.md must be:\n\n{table}"
    assert len(re.findall(r"^\| \d", PAGE, re.MULTILINE)) == len(ExitStatus)


def test_the_order_is_the_precedence() -> None:
    """Where several codes apply, the page names the order the code uses."""
    order = ", ".join(str(int(one)) for one in PRECEDENCE)
    assert f"in this order is used: {order}." in PAGE
