"""An upload in a real notebook kernel: its bar, its interrupts, and the same cell again."""

from __future__ import annotations

import queue
import re
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from bulk_upload import EntryState, LedgerReader
from bulk_upload.sandbox import SandboxConfig, parse_faults, sandbox_in_thread
from tests.library.scenes import assert_at_rest, manifest_of
from tests.waiting import HANG_S, until_in_thread

pytest.importorskip("ipykernel")
manager = pytest.importorskip("jupyter_client.manager")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bulk_upload.sandbox import Sandbox

COUNT = 8
AT_ONCE = 3


class Notebook:
    """A kernel and the client that runs cells in it."""

    def __init__(self, kernel: Any, client: Any) -> None:
        self._kernel = kernel
        self._client = client

    def run(self, code: str, *interrupts: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """Run a cell, interrupt it whenever the next condition is so, and return what it published.

        A condition is asked with what was published so far.
        """
        cell = self._client.execute(code)
        left = list(interrupts)
        published: list[dict[str, Any]] = []
        ends_at = time.monotonic() + HANG_S
        while time.monotonic() < ends_at:
            if left and left[0](published):
                left.pop(0)
                self._kernel.interrupt_kernel()
            try:
                message = self._client.get_iopub_msg(timeout=0.05)
            except queue.Empty:
                continue
            if message["parent_header"].get("msg_id") != cell:
                continue
            published.append(message)
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                assert not left, "it was over before it could be interrupted"
                return published
        raise AssertionError(f"the cell goes on: {published[-3:]}")

    def value(self, code: str) -> str:
        """Return the value of an expression, as the notebook shows it."""
        (shown,) = [one for one in self.run(code) if one["msg_type"] == "execute_result"]
        return str(shown["content"]["data"]["text/plain"])


@pytest.fixture
def notebook(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    home = str(tmp_path_factory.mktemp("jupyter"))
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR"):
        # Neither the settings of whoever runs the tests, nor a home that may not be written.
        monkeypatch.setenv(name, home)
    kernel = manager.KernelManager(kernel_name="python3")
    # Not the kernel that is registered on this machine, but the one of this Python.
    kernel.kernel_spec.argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel.start_kernel()
    client = kernel.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=HANG_S)
        yield Notebook(kernel, client)
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with sandbox_in_thread(SandboxConfig()) as running:
        yield running


def errors_in(published: list[dict[str, Any]]) -> list[str]:
    return [one["content"]["ename"] for one in published if one["msg_type"] == "error"]


def says(word: str) -> Callable[[list[dict[str, Any]]], bool]:
    """Whether a cell has printed a word."""
    return lambda published: any(
        word in one["content"]["text"] for one in published if one["msg_type"] == "stream"
    )


def assert_nothing_goes_on_in(notebook: Notebook) -> None:
    notebook.run("import threading")
    names = "[one.name for one in threading.enumerate() if one.name.startswith('bulk-upload')]"
    until_in_thread(lambda: notebook.value(names) == "[]")


def cell(manifest: Path, sandbox: Sandbox, call: str) -> str:
    return (
        "import bulk_upload\n"
        f"result = {call}({str(manifest)!r}, ledger={str(manifest.with_name('job.ledger.db'))!r}, api_key='key',"
        f" base_url={sandbox.url!r}, concurrency={AT_ONCE}, settle_s=0.5, settle_answered_s=0.5,"
        " on_event=lambda one: print(type(one).__name__), progress=True)\n"
        "result.raise_for_status()"
    )


@pytest.mark.parametrize(
    ("call", "interrupts", "error"),
    [
        ("bulk_upload.upload", ("AttemptStarted", "Draining"), "KeyboardInterrupt"),
        ("await bulk_upload.upload_async", ("AttemptStarted",), "CancelledError|KeyboardInterrupt"),
    ],
    ids=["waiting", "awaiting"],
)
def test_an_interrupted_cell_leaves_nothing_going_on(
    tmp_path: Path, sandbox: Sandbox, notebook: Notebook, call: str, interrupts: tuple[str, ...], error: str
) -> None:
    """After it nothing is in flight, the ledger is consistent, and the same cell completes the job."""
    sandbox.use_faults(parse_faults("answer-delay=3600"))
    manifest = manifest_of(tmp_path, COUNT)
    code = cell(manifest, sandbox, call)
    (name,) = errors_in(notebook.run(code, *map(says, interrupts)))
    assert re.fullmatch(error, name)
    assert_nothing_goes_on_in(notebook)
    assert_at_rest(tmp_path / "job.ledger.db")
    with LedgerReader(tmp_path / "job.ledger.db") as reader:
        assert set(reader.states()) <= {EntryState.IN_DOUBT, EntryState.PENDING}
    sandbox.use_faults(parse_faults(""))
    assert errors_in(notebook.run(code)) == []
    assert notebook.value("result.ok, result.states['accepted']") == f"(True, {COUNT})"


@pytest.mark.parametrize("call", ["bulk_upload.upload", "await bulk_upload.upload_async"])
def test_progress_is_a_bar_below_the_cell(
    tmp_path: Path, sandbox: Sandbox, notebook: Notebook, call: str
) -> None:
    """It is drawn in place, in a format of every front end, and ends with the summary."""
    published = notebook.run(cell(manifest_of(tmp_path, COUNT), sandbox, call))
    (drawn,) = [one["content"]["data"] for one in published if one["msg_type"] == "display_data"]
    assert "<progress" in drawn["text/html"]
    last = [one["content"]["data"] for one in published if one["msg_type"] == "update_display_data"][-1]
    assert f"{COUNT} of {COUNT} entries accepted" in last["text/plain"]
    assert 'value="1.0000"' in last["text/html"]
