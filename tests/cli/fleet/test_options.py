"""The options about agents: what goes together, and what `auto` decides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bulk_upload.cli.fleet.options import fleet_of, process_count_here, processes_line
from bulk_upload.core.limits.timetable import Timetable
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.errors import UsageError

NONE: dict[str, Any] = {
    "processes": 1,
    "listen": None,
    "token_file": None,
    "agent_root": None,
    "agent_certificate": None,
    "agent_ttl": 20.0,
    "dask": None,
}


def fleet(**options: Any) -> Any:
    return fleet_of({**NONE, **options}, RunSettings())


def test_a_run_has_no_agents_unless_asked() -> None:
    """One process is this one."""
    assert fleet() is None


def test_processes_are_agents_on_this_machine() -> None:
    """No address, no token file."""
    found = fleet(processes=3)
    assert (found.processes, found.listen) == (3, None)


def test_auto_decides_by_what_there_is_to_send() -> None:
    """Little is sent by this process alone; 0 says so."""
    found = fleet(processes="auto")
    assert found.processes_for(1000) == 0
    assert process_count_here(RunSettings(bandwidth=Timetable.always(1e6)), 10**13).count == 1


def test_agents_elsewhere_need_an_address_and_a_token(tmp_path: Path) -> None:
    """The token is written where it is not there yet."""
    token = tmp_path / "token"
    found = fleet(listen="0.0.0.0:8790", token_file=str(token))
    assert found.listen == ("0.0.0.0", 8790)
    assert found.token == token.read_text("ascii").strip()
    assert fleet(listen="[::1]:0", token_file=str(token)).listen == ("::1", 0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"listen": "0.0.0.0:8790"}, "--listen needs --token-file"),
        ({"agent_root": "/data"}, "--agent-root is of no use without --listen"),
        ({"token_file": "x"}, "--token-file is of no use without --listen"),
        ({"listen": "8790", "token_file": "x"}, "no address to listen at"),
        ({"listen": "host:port", "token_file": "x"}, "no address to listen at"),
        ({"listen": "host:99999", "token_file": "x"}, "no address to listen at"),
    ],
)
def test_what_does_not_go_together_is_said(
    options: dict[str, Any], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything begins."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=words):
        fleet(**options)


def test_a_plan_says_how_many_processes_send_and_what_memory_they_take() -> None:
    """With the reason for that number."""
    assert "1 process (" in processes_line("auto", 1000)
    assert "3 processes (--processes 3), about 302.0 MB" in processes_line(3, 1000)
