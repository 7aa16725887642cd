"""An event loop whose clock jumps: hours of waiting take milliseconds, and the same seed tells the same story.

Nothing on this loop may use a thread or a socket of the outside world: both look like idleness here.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import random
import selectors
import warnings
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

P = ParamSpec("P")
T = TypeVar("T")

TURN_S = 1e-5
"""What one turn of the loop costs. Without it a task that only yields would stop the clock for ever."""

TURNS_MAX = 30_000
"""So many turns without one jump of the clock are a busy loop: nothing that waits gets a turn."""

EPOCH_UTC_S = 1_780_000_000.0
"""The wall-clock time at which virtual time is zero."""


class Stuck(Exception):
    """The simulated program can never end; the message says why."""


class Killed(BaseException):
    """The simulated process is gone, as after `kill -9`: no handler of its own sees this."""


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for nobody: when no file is ready, its clock jumps to the time the caller would have waited for."""

    def __init__(self, starts_at: float) -> None:
        super().__init__()
        self.now = starts_at
        self.ends_at = float("inf")
        self.killed = False
        self._turn_count = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready now, else let time pass. Raises Stuck, Killed."""
        if self.killed:
            self.killed = False
            raise Killed
        if timeout is not None and timeout <= 0:
            # Whoever has something to do looks at no file: most turns are such ones.
            self._pass_turn()
            return []
        ready = super().select(0)
        if ready:
            self._pass_turn()
            return ready
        if timeout is None:
            raise Stuck(f"everybody waits for somebody else:\n{_who_waits()}")
        self._turn_count = 0
        self.now += timeout
        if self.now > self.ends_at:
            raise Stuck(f"still running at {self.now:.3f} s of virtual time:\n{_who_waits()}")
        return []

    def _pass_turn(self) -> None:
        self.now += TURN_S
        self._turn_count += 1
        if self._turn_count > TURNS_MAX:
            self._turn_count = 0
            raise Stuck(f"a busy loop: {TURNS_MAX} turns without a wait:\n{_who_waits()}")


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop. `time()` is virtual.

    Args:
        starts_at: what `time()` returns first.
    """

    def __init__(self, starts_at: float = 0.0) -> None:
        self._jumping = _JumpingSelector(starts_at)
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return virtual seconds."""
        return self._jumping.now

    def end_by(self, ends_at: float) -> None:
        """Raise Stuck out of the loop when it still runs at `ends_at`."""
        self._jumping.ends_at = ends_at

    def kill(self) -> None:
        """Raise Killed out of the loop before anything else happens on it."""
        self._jumping.killed = True


class VirtualClock:
    """Time of the running loop, chance of a seed: a `Clock` for engines under test.

    Args:
        seed: of `jitter`.
        ahead_s: how far the wall clock is ahead of virtual time.
    """

    def __init__(self, seed: int | str = 0, *, ahead_s: float = 0.0) -> None:
        self._random = random.Random(f"jitter {seed}")
        self._ahead_s = ahead_s

    def monotonic(self) -> float:
        """Return the loop's time."""
        return asyncio.get_running_loop().time()

    def utc_s(self) -> float:
        """Return the wall-clock time."""
        return EPOCH_UTC_S + self.monotonic() + self._ahead_s

    def step(self, seconds: float) -> None:
        """Set the wall clock forward, or back."""
        self._ahead_s += seconds

    def minute_of_day(self) -> int:
        """Return minutes since midnight UTC."""
        return int(self.utc_s() // 60) % 1440

    def jitter(self) -> float:
        """Return the next random number in [0, 1)."""
        return self._random.random()

    async def sleep(self, seconds: float) -> None:
        """Wait virtually."""
        await asyncio.sleep(seconds)


def run_virtually(
    main: Callable[[VirtualLoop], Coroutine[Any, Any, T]],
    *,
    starts_at: float = 0.0,
    lasts_s_max: float = float("inf"),
) -> T:
    """Run a coroutine function, given its loop, on a loop of its own and return its result.

    Raises Stuck when it deadlocks, spins, or lasts longer than `lasts_s_max`; Killed when somebody killed the
    loop. What was left running is cancelled then, so that nothing of it survives.
    """

    def new_loop() -> VirtualLoop:
        loop = VirtualLoop(starts_at)
        loop.end_by(starts_at + lasts_s_max)
        return loop

    with asyncio.Runner(loop_factory=new_loop) as runner:
        loop = runner.get_loop()
        if not isinstance(loop, VirtualLoop):
            raise TypeError("not a virtual loop")
        try:
            return runner.run(main(loop))
        except (Stuck, Killed):
            # What the tasks say while they are swept away is nobody's business any more.
            loop.set_exception_handler(lambda *_: None)
            loop.end_by(float("inf"))
            _forget_what_never_began(loop)
            raise


def _forget_what_never_began(loop: asyncio.AbstractEventLoop) -> None:
    """Close the coroutines whose first step did not come: Python would complain of each of them later."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for task in asyncio.all_tasks(loop):
            work = task.get_coro()
            if inspect.iscoroutine(work) and inspect.getcoroutinestate(work) == inspect.CORO_CREATED:
                # anyio's task groups wrap what they start; the inner coroutine did not begin either.
                wrapper = None if work.cr_frame is None else work.cr_frame.f_locals.get("self")
                wrapped = getattr(wrapper, "_coro", None)
                work.close()
                if inspect.iscoroutine(wrapped):
                    wrapped.close()


def on_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Make a plain test out of an async one: it runs on virtual time, for at most a virtual day."""

    @functools.wraps(test)
    def plain(*args: P.args, **kwargs: P.kwargs) -> None:
        run_virtually(lambda _: test(*args, **kwargs), lasts_s_max=86_400.0)

    return plain


def _who_waits() -> str:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return "(no loop)"
    lines = []
    for task in sorted(asyncio.all_tasks(loop), key=lambda one: one.get_name()):
        frames = task.get_stack(limit=1)
        place = f"{frames[-1].f_code.co_qualname}:{frames[-1].f_lineno}" if frames else "?"
        lines.append(f"  {task.get_name()} at {_innermost(task) or place}")
    return "\n".join(lines)


def _innermost(task: asyncio.Task[Any]) -> str:
    """Return where the innermost coroutine of a task stands."""
    place = ""
    awaited: Any = task.get_coro()
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "ag_frame", None)
        if frame is not None:
            place = f"{frame.f_code.co_qualname}:{frame.f_lineno}"
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "ag_await", None)
    return place
