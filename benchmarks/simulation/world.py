"""The event loop: uploads share a link fairly, servers judge them, clients ask their controllers."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from bulk_upload.core.limits.signal import FAILED, Signal, SignalKind
from bulk_upload.core.run.retry import RetryBudget, RetryPolicy, TryAgain
from simulation.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.limits.controller import Controller, Ticket
    from simulation.server import ServerSpec

TICK_S = 0.25
SAMPLE_S = 0.5
LASTS_S_MAX = 3600.0
PATIENT_ATTEMPTS = 3
THROTTLED_S = 0.5
"""As `RetryPolicy.throttled_s`; a constant, so that an earlier revision of the package can be simulated, too."""

ATTEMPTS_BY_CHANCE = 2
"""After so many the policy's waits grow no longer where failures come by chance; a constant for the same reason."""

POLICY = RetryPolicy(attempts_max=10**6)


def throttled_s(retry_after_s: float | None, jitter: float) -> float:
    """Return what the product's policy makes a throttled file wait by itself."""
    return retry_after_s or THROTTLED_S * jitter


class File:
    """A file to upload."""

    __slots__ = ("attempts", "size", "throttled")

    def __init__(self, size: int) -> None:
        self.size = size
        self.attempts = 0
        self.throttled = 0


class Upload:
    """One attempt, from its start to its answer."""

    __slots__ = ("by_chance", "client", "cut_bytes", "file", "late", "latency_s", "status", "ticket")

    def __init__(self, client: Client, file: File, ticket: Ticket, latency_s: float) -> None:
        self.client = client
        self.file = file
        self.ticket = ticket
        self.latency_s = latency_s
        self.status = 200
        self.by_chance = False
        self.late = False
        self.cut_bytes = 0.0


@dataclass(slots=True)
class Tally:
    """What a client's run came to."""

    started_at: float = 0.0
    finished_at: float | None = None
    accepted: int = 0
    refused: int = 0
    failed: int = 0
    accepted_bytes: int = 0
    wasted_bytes: float = 0.0
    attempts_max: int = 0
    latencies_s: list[float] = field(default_factory=list)
    samples: list[tuple[float, int, float]] = field(default_factory=list)
    """Time, accepted uploads, bytes that left and were not taken back: every half second."""

    @property
    def lasted_s(self) -> float:
        """How long it took."""
        return (self.finished_at if self.finished_at is not None else LASTS_S_MAX) - self.started_at

    @property
    def refused_share(self) -> float:
        """Refused and failed requests among all."""
        bad = self.refused + self.failed
        return bad / max(1, bad + self.accepted)

    @property
    def waste(self) -> float:
        """Bytes sent in vain per byte delivered."""
        return self.wasted_bytes / max(1, self.accepted_bytes)

    @property
    def p99_s(self) -> float:
        """The latency that one accepted upload of a hundred exceeds."""
        ordered = sorted(self.latencies_s)
        return ordered[int(0.99 * (len(ordered) - 1))] if ordered else 0.0


class Client:
    """A run of files under one controller. Retries wait without a slot and go first when their wait is over."""

    def __init__(
        self, world: World, controller: Controller, sizes: list[int], rng: random.Random, starts_at: float
    ) -> None:
        self.world = world
        self.controller = controller
        self.fresh = deque(File(size) for size in sizes)
        self.again: deque[File] = deque()
        self.left = len(sizes)
        self.rng = rng
        self.in_flight = 0
        self.moving = 0
        self.moved_from = 0.0
        self.moved = 0.0
        self.reported = 0
        self.budget = RetryBudget()
        self.waits_apart = bool(getattr(controller, "waits_apart", False))
        self.wakes_at = float("inf")
        self.tally = Tally(started_at=starts_at)
        world.at(starts_at, self.tick, None)

    def tick(self, _: Any) -> None:
        """Let the controller see time pass."""
        world = self.world
        self.report()
        self.controller.tick(world.now)
        self.pump()
        if not self.left:
            return
        samples = self.tally.samples
        if not samples or world.now >= samples[-1][0] + SAMPLE_S - 1e-9:
            samples.append((world.now, self.tally.accepted, self.moved - self.tally.wasted_bytes))
        world.at(world.now + TICK_S, self.tick, None)

    def report(self) -> None:
        """Tell the controller of the bytes that left."""
        self.advance(0)
        count = int(self.moved) - self.reported
        if count:
            self.reported += count
            self.controller.on_bytes(self.world.now, count)

    def advance(self, more_moving: int) -> None:
        """Bring the count of moved bytes up to now, then let more or fewer bodies move."""
        drained = self.world.drained
        self.moved += self.moving * (drained - self.moved_from)
        self.moved_from = drained
        self.moving += more_moving

    def wake(self, _: Any) -> None:
        """A wait may be over."""
        if self.world.now >= self.wakes_at - 1e-9:
            self.wakes_at = float("inf")
        self.pump()

    def pump(self) -> None:
        """Start what may start."""
        controller, world = self.controller, self.world
        now = world.now
        while (self.again or self.fresh) and self.in_flight < controller.limit:
            delay_s = controller.next_delay(now)
            if delay_s > 0:
                if now + delay_s < self.wakes_at - 1e-9:
                    self.wakes_at = now + delay_s
                    world.at(self.wakes_at, self.wake, None)
                return
            file = self.again.popleft() if self.again else self.fresh.popleft()
            self.in_flight += 1
            file.attempts += 1
            latency_s = world.server.spec.latency_s * (0.8 + 0.4 * self.rng.random())
            upload = Upload(self, file, controller.on_start(now), latency_s)
            world.at(now + latency_s / 4, world.arrive, upload)

    def answered(self, upload: Upload) -> None:
        """Take an answer, tell the controller, and put the file where it belongs."""
        world, controller, tally = self.world, self.controller, self.tally
        now, file, status = world.now, upload.file, upload.status
        self.in_flight -= 1
        self.report()
        if status == 200:
            tally.accepted += 1
            tally.accepted_bytes += file.size
            tally.attempts_max = max(tally.attempts_max, file.attempts)
            tally.latencies_s.append(now - upload.ticket.started_at)
            self.budget = self.budget.earn()
            self.left -= 1
            if not self.left:
                tally.finished_at = now
                world.running -= 1
            accepted = Signal(
                kind=SignalKind.ACCEPTED, file_bytes=file.size, allowance=world.server.allowance(now)
            )
            controller.on_end(now, upload.ticket, accepted)
        elif status == 0:
            tally.failed += 1
            self.take_back(upload.cut_bytes)
            controller.on_end(now, upload.ticket, FAILED)
            self.retry(file, self.backoff_s(file))
        else:
            self.refused(upload)
        self.pump()

    def refused(self, upload: Upload) -> None:
        """Take a 429 or 503."""
        world, now = self.world, self.world.now
        server, file = world.server, upload.file
        down = upload.status == 503 and server.spec.outage_late
        if upload.late:
            self.take_back(file.size)
        self.tally.refused += 1
        if upload.by_chance:
            wait_s = server.spec.chance_retry_after_s
        else:
            wait_s = None if down else server.wait_s(now)
        refused = Signal(
            kind=SignalKind.OVER_QUOTA if upload.status == 429 else SignalKind.BUSY,
            retry_after_s=wait_s,
            jitter=self.rng.random(),
            allowance=server.allowance(now),
        )
        self.controller.on_end(now, upload.ticket, refused)
        if self.waits_apart:
            self.retry(file, wait_s or min(10.0, 0.25 * 2.0 ** min(10, file.attempts)) * self.rng.random())
        elif upload.status == 503 and wait_s is None:
            self.retry(file, self.backoff_s(file))
        else:
            self.retry(file, throttled_s(wait_s, self.rng.random()))

    def put_back(self, file: File) -> None:
        """Let a file go first again, unless it was turned away often: then others are tried before it."""
        (self.again if file.attempts < PATIENT_ATTEMPTS else self.fresh).append(file)

    def take_back(self, body_bytes: float) -> None:
        """Count the bytes of a body that was sent in vain."""
        if body_bytes >= 1:
            self.tally.wasted_bytes += body_bytes
            self.controller.on_bytes(self.world.now, -int(body_bytes))

    def backoff_s(self, file: File) -> float:
        """Return what the product's own policy makes a failed file wait."""
        used = (
            file.attempts if self.controller.chance_share is None else min(file.attempts, ATTEMPTS_BY_CHANCE)
        )
        decision = POLICY.again(
            "", attempts_used=used, budget_empty=self.budget.empty, jitter=self.rng.random()
        )
        self.budget = self.budget.spend()
        assert isinstance(decision, TryAgain)
        return decision.delay_s

    def retry(self, file: File, wait_s: float) -> None:
        """Put a file back after its own wait."""
        self.world.at(self.world.now + wait_s, self.waited, file)

    def waited(self, file: File) -> None:
        """A file's own wait is over."""
        self.put_back(file)
        self.pump()


class World:
    """Virtual time. All bodies in motion get the same share of the link, so one clock of drained bytes serves all."""

    def __init__(self, spec: ServerSpec, *, lasts_s_max: float = LASTS_S_MAX) -> None:
        self.server = Server(spec)
        self.now = 0.0
        self.drained = 0.0
        self.running = 0
        self._lasts_s_max = lasts_s_max
        self._link = spec.link_bytes_s
        self._connection = spec.connection_bytes_s
        self._events: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._bodies: list[tuple[float, int, Upload]] = []
        self._number = 0
        for at, value in spec.link_moves:
            self.at(at, self._move_link, value)
        if spec.outage is not None and not spec.outage_late:
            self.at(spec.outage[0], self._cut, None)

    def add(self, controller: Controller, sizes: list[int], *, seed: str, starts_at: float = 0.0) -> Client:
        """Let one more client begin at `starts_at`."""
        self.running += 1
        return Client(self, controller, sizes, random.Random(seed), starts_at)

    def at(self, when: float, what: Callable[[Any], None], argument: Any) -> None:
        """Plan an event."""
        self._number += 1
        heappush(self._events, (when, self._number, what, argument))

    def run(self) -> None:
        """Let time pass until every client is done, or for as long as a world may last."""
        events, bodies = self._events, self._bodies
        while self.running:
            share = min(self._connection, self._link / len(bodies)) if bodies else 0.0
            next_at = events[0][0] if events else float("inf")
            if bodies:
                sent_at = self.now + max(0.0, bodies[0][0] - self.drained) / share
                if sent_at <= next_at:
                    self.now = sent_at
                    self.drained = max(self.drained, bodies[0][0])
                    self._sent(heappop(bodies)[2])
                    continue
            if next_at > self._lasts_s_max:
                return
            self.drained += (next_at - self.now) * share
            self.now = next_at
            _, _, what, argument = heappop(events)
            what(argument)

    def arrive(self, upload: Upload) -> None:
        """A request reaches the server."""
        server, spec, now = self.server, self.server.spec, self.now
        if server.down(now):
            upload.status = 503 if spec.outage_late else 0
            upload.late = spec.outage_late
        elif spec.chance and upload.client.rng.random() < spec.chance:
            upload.status = spec.chance_status
            upload.by_chance = True
            upload.late = spec.chance_late
            upload.cut_bytes = float(upload.file.size) if spec.chance_late else 0.0
        elif not server.admit(now):
            upload.status = spec.status
            upload.late = spec.late
        if upload.status != 200 and not upload.late:
            self.at(now + upload.latency_s / 4, upload.client.answered, upload)
            return
        if upload.status == 200:
            server.inside += 1
        upload.client.advance(1)
        self._number += 1
        heappush(self._bodies, (self.drained + upload.file.size, self._number, upload))

    def _sent(self, upload: Upload) -> None:
        """A body is complete: the server thinks."""
        upload.client.advance(-1)
        self.at(self.now + upload.latency_s / 2, self._thought, upload)

    def _thought(self, upload: Upload) -> None:
        """Workers take the body, where there are any, or the answer goes back."""
        server = self.server
        if upload.status == 200 and server.spec.workers is not None:
            if server.working >= server.spec.workers:
                server.queue.append(upload)
            else:
                self._work(upload)
            return
        self._answer(upload)

    def _work(self, upload: Upload) -> None:
        self.server.working += 1
        self.at(self.now + self.server.work_s(), self._worked, upload)

    def _worked(self, upload: Upload) -> None:
        self.server.working -= 1
        self._answer(upload)
        if self.server.queue:
            waiting = self.server.queue.popleft()
            assert isinstance(waiting, Upload)
            self._work(waiting)

    def _answer(self, upload: Upload) -> None:
        if upload.status == 200:
            self.server.inside -= 1
        self.at(self.now + upload.latency_s / 4, upload.client.answered, upload)

    def _cut(self, _: Any) -> None:
        """Reset the connections that bodies move over."""
        for sent, _, upload in self._bodies:
            upload.client.advance(-1)
            upload.cut_bytes = upload.file.size - max(0.0, sent - self.drained)
            if upload.status == 200:
                self.server.inside -= 1
            upload.status = 0
            self.at(self.now, upload.client.answered, upload)
        self._bodies.clear()

    def _move_link(self, bytes_s: float) -> None:
        self._link = bytes_s
