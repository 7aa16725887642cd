"""SIGINT, SIGTERM and SIGHUP in three stages: drain, stop at once, leave now."""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def staged_signals(stages: tuple[Callable[[signal.Signals], None], ...]) -> Iterator[None]:
    """Call the first stage at the first signal, the second at the second, and the last one from then on.

    Needs a running event loop in the main thread; the former handlers are restored at the end.
    """
    loop = asyncio.get_running_loop()
    received = 0

    def on_signal(number: signal.Signals) -> None:
        nonlocal received
        stage = stages[min(received, len(stages) - 1)]
        received += 1
        stage(number)

    for one in _SIGNALS:
        loop.add_signal_handler(one, on_signal, one)
    try:
        yield
    finally:
        for one in _SIGNALS:
            loop.remove_signal_handler(one)
