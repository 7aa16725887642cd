"""Settings and fixtures that all tests share."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Deadlines measure the machine, not the code; a busy one must not fail a test.
settings.register_profile("default", max_examples=50, deadline=None)
settings.register_profile("ci", max_examples=50, deadline=None, derandomize=True, print_blob=True)
settings.register_profile(
    "night", max_examples=5000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default"))


# Reading the system's certificates is a third of a short command's time, and no test speaks to a server that has one.
os.environ["SSL_CERT_FILE"] = os.devnull

# Where no bytecode is wanted beside the source, it goes to pytest's own cache: without any, each worker would rewrite
# the assertions of every module anew, which is 8 of 12 s of collecting.
if sys.dont_write_bytecode:
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(Path(__file__).parents[1] / ".pytest_cache" / "bytecode")

_get_help_option = click.Command.get_help_option


def _get_whole_help_option(self: click.Command, ctx: click.Context) -> click.Option | None:
    assert "-h" in ctx.help_option_names, f"{self.name} was called without the settings of `bulk-upload`"
    return _get_help_option(self, ctx)


# click keeps the first help option that it makes of a command: one without `-h` would fail whatever test comes next. It has no
# setting for that, so the method is replaced, which mypy takes for a mistake.
click.Command.get_help_option = _get_whole_help_option  # type: ignore[method-assign]

WAITING = ("tests/hazards/", "tests/e2e/", "tests/docs/")
"""The folders of tests that mostly wait for processes, servers and clocks; the longest are in the first."""


@pytest.fixture
def quick_path() -> Iterator[Path]:
    """A folder in memory where there is one: for hundreds of commits or jobs that no power cut ends."""
    memory = "/dev/shm"
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


def pytest_xdist_auto_num_workers() -> int:
    """Return two more workers than there are processors: much of what runs here waits for a process or a clock."""
    return (os.cpu_count() or 1) + 2


def pytest_collection(session: pytest.Session) -> None:
    """Let each worker import its share of the test modules first.

    pytest rewrites the assertions of a module when it is first imported, and keeps the bytecode. In a clean checkout,
    workers that import the same modules in the same order would each rewrite all of them.
    """
    config = session.config
    if not hasattr(config, "workerinput"):
        return
    folders = [Path(arg) for arg in config.args if Path(arg).is_dir()]
    modules = sorted(path for folder in folders for path in folder.resolve().rglob("test_*.py"))
    first = int(config.workerinput["workerid"].removeprefix("gw"))
    for path in modules[first :: config.workerinput["workercount"]]:
        name = ".".join(path.relative_to(config.rootpath).with_suffix("").parts)
        # The collection that follows reports what is wrong with a module.
        with contextlib.suppress(Exception, pytest.skip.Exception):
            importlib.import_module(name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that wait, so that none of them is what all others wait for in the end."""

    def place(item: pytest.Item) -> int:
        return next(
            (place for place, folder in enumerate(WAITING) if item.nodeid.startswith(folder)), len(WAITING)
        )

    items.sort(key=place)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--event-loop`."""
    parser.addoption(
        "--event-loop",
        choices=["asyncio", "uvloop"],
        default="asyncio",
        help="the loop that tests run on, but those on virtual time and in processes of their own",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Take back what `nohup` or a shell's `&` had ignored, and make uvloop's loop the one of `asyncio.run` if asked to."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if config.getoption("event_loop") == "uvloop":
        uvloop = importlib.import_module("uvloop")
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name tests of binary data by their place: compressed bytes differ from one worker to the next."""
    return argname if isinstance(val, bytes) and not val.isascii() else None


def pytest_collection_finish() -> None:
    """Keep the garbage collector from the thousands of tests that were collected, time and again."""
    gc.collect()
    gc.freeze()


def pytest_asyncio_loop_factories(
    config: pytest.Config,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Give tests that are coroutines the same loop."""
    return {config.getoption("event_loop"): asyncio.new_event_loop}
