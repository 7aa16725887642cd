"""Stories for the simulation: a hostile server, disturbed runs, and what must be true after each of them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from dataclasses import replace as with_fields
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bulk_upload.core.events import AttemptEnded, PlanMade, ReceiptWithdrawn
from bulk_upload.core.model import EntryState
from bulk_upload.core.report.tally import exit_status
from bulk_upload.core.run.plan import Step
from bulk_upload.core.run.retry import RetryPolicy
from bulk_upload.core.run.settings import InDoubtPolicy, RunSettings, ValidateMode
from bulk_upload.edge.files import SMALL_FILE_BYTES_MAX
from bulk_upload.exit_status import ExitStatus
from tests.fakes.fates import Faults
from tests.fakes.ledger import Mishap
from tests.fakes.server import unowned
from tests.fakes.server_settings import ServerSettings
from tests.fakes.validator import FakeValidator
from tests.fakes.world import LARGE_BYTES, Ran, Scene, World

if TYPE_CHECKING:
    from collections.abc import Callable

NO_TIME = "not during the attempt, as far as one can tell without the server's time"
NO_HASH = "its content cannot be compared: the file has changed, and no hash of what was sent is known"
PROMPTLY_S = 0.5
"""Longer than any commit and any read here, shorter than a backoff, a listing or an answer that is late."""
COMMITS_MAX = 12
"""How many commits one after another may end a run: of a doubt that is decided by then, of its entry, of the closing check,
of the limits and of the result."""

RETRIED = frozenset({EntryState.REJECTED, EntryState.FAILED_LOCAL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a run is disturbed; `at_s` counts from its start."""

    kind: str
    at_s: float = 0.0
    mishap: Mishap | None = None


class Story:
    """One seed: a job, a few disturbed runs of it, a healed one, and one more that must find nothing to do.

    Args:
        sizes: how many small files there may be.
        may_leave_doubts: whether entries may be left to a person, where that is right.
    """

    def __init__(
        self, seed: int, *, sizes: tuple[int, ...] = (3, 10, 40), may_leave_doubts: bool = False
    ) -> None:
        self.seed = seed
        self.sizes = sizes
        self.may_leave_doubts = may_leave_doubts
        self.chance = random.Random(f"story {seed}")
        faults, server = self._faults(), self._server()
        # Chances of their own, here and below: what else a seed tells stays as it is.
        if may_leave_doubts and random.Random(f"time {seed}").random() < 0.4:
            # Only files tell the time then. Not where the server confuses them: it would tell a wrong one.
            faults = with_fields(faults, other_id=0.0)
            server = with_fields(server, has_date=False, answers_created_at=seed % 2 == 0)
        self.world = World(seed, faults=faults, server=server)
        self.changed: set[str] = set()
        self.validate = random.Random(f"validate {seed}").choice(list(ValidateMode))
        self.world.whole_bytes_max = random.Random(f"whole {seed}").choice(
            [SMALL_FILE_BYTES_MAX, 2 * LARGE_BYTES]
        )
        self.validator = FakeValidator(self.world.files, bytes_per_s=1e8)
        self._add_files()

    def tell(self) -> None:
        """Play the story and check it. Raises AssertionError."""
        for _ in range(self.chance.choice([0, 1, 2, 3, 5])):
            ending = self._ending()
            ran = self.world.run(
                replace(self._settings(), validate=self.validate),
                script=partial(self._disturb, ending=ending),
                mishap=ending.mishap,
                validator=self.validator,
            )
            self.check(ran, ending)
            self.world.now += self.chance.choice([0.0, 1.0, 20.0, 4000.0])
            self._change_files()
        self.world.server.heal()
        patient = replace(self._settings(), deadline_s=None, errors_max=None, validate=self.validate)
        healed = self.world.run(
            replace(patient, in_doubt=InDoubtPolicy.RECONCILE, retry=RETRIED), validator=self.validator
        )
        self.check(healed, Ending(kind="healed"))
        if self.may_leave_doubts and EntryState.IN_DOUBT in self.world.states().values():
            self._check_left_to_a_person(healed)
            return
        assert set(self.world.states().values()) == {EntryState.ACCEPTED}
        assert healed.result is not None
        assert healed.result.status is ExitStatus.DONE
        request_count = self.world.server.request_count
        idle = self.world.run()
        assert self.world.server.request_count == request_count
        assert idle.told.settled() == []

    def _check_left_to_a_person(self, healed: Ran) -> None:
        """Each entry in doubt has a reason that no server removes, and what else is not accepted is a twin of one."""
        left = {path: one for path, one in self.world.states().items() if one is not EntryState.ACCEPTED}
        doubtful = [path for path, state in left.items() if state is EntryState.IN_DOUBT]
        for path in doubtful:
            reason = str(self.world.ledger.reason(path))
            # Any answer with a `Date` tells the time, and so does any file that the run had accepted.
            tells_time = self.world.server.settings.has_date or healed.told.started()
            has_no_time = reason.endswith(NO_TIME) and not tells_time
            assert has_no_time or (reason.endswith(NO_HASH) and path in self.changed), f"{path}: {reason}"
        twins = {(name, size) for name, size, _ in self.world.ledger.doubtful_twins()}
        for path in left.keys() - set(doubtful):
            file = self.world.files.find(path)
            assert left[path] is EntryState.PENDING, path
            assert file is not None
            # Both groups of twins may have one size.
            assert (path.rsplit("/", 1)[1], len(file.content)) in twins, path
        assert healed.result is not None
        assert healed.result.status is ExitStatus.IN_DOUBT

    def check(self, ran: Ran, ending: Ending) -> None:
        """Check what must hold after every run."""
        self._check_starts(ran)
        self._check_ids(ran)
        self._check_moves(ran)
        if ran.killed:
            return
        assert self.world.ledger.complaints() == []
        scene = ran.scene
        assert scene.left is not None
        assert (scene.left.in_flight, scene.left.parked_count, scene.reader.open_count) == (0, 0, 0)
        if scene.ledger.failure is None:
            assert self.world.ledger.open_intents() == set(), "open_intents"
        elif "disk I/O error" not in str(scene.ledger.failure):
            raise AssertionError(scene.ledger.failure)
        self._check_events(ran)
        self._check_end(ran, ending)

    def _check_starts(self, ran: Ran) -> None:
        """S3, S4, S5, S6, and the durable intent: looked at whenever a request begins."""
        assert ran.scene.violations == [], ran.scene.violations[:3]
        assert all(len(batch) <= 64 for batch in ran.scene.reader.loads)

    def _check_ids(self, ran: Ran) -> None:
        """S1: each file at the server is in the receipt of its own entry, or that entry is in doubt."""
        world = self.world
        receipts = world.ledger.receipts()
        at_server = {one.file_id: one for one in world.server.stored}
        for file_id, path in receipts.items():
            source = at_server[file_id].source
            assert world.files.path_of(source) == path, f"{file_id} is not of {path}"
        open_paths = world.ledger.doubtful() | world.ledger.open_intents()
        strays = [world.files.path_of(one.source) for one in unowned(world.server.stored, set(receipts))]
        assert set(strays) <= open_paths, f"orphans of {sorted(set(strays) - open_paths)}"
        assert len(strays) == len(set(strays)), "two copies of one entry and no receipt"

    def _check_moves(self, ran: Ran) -> None:
        """S2: a settled entry stays as it is unless its file changed, it was to be retried, or the run took
        back its word."""
        taken_back = self.world.ledger.taken_back()
        for move in self.world.ledger.moves():
            if not move.before.settled or move.path in self.changed:
                continue
            if move.after is EntryState.IN_DOUBT and (move.path, move.run_id) in taken_back:
                continue
            assert move.before is not EntryState.ACCEPTED, move
            assert move.after is not EntryState.IN_DOUBT, move

    def _check_events(self, ran: Ran) -> None:
        told = ran.told
        assert sum(isinstance(event, PlanMade) for _, event in told.events) == 1
        settled = [one.path for one in told.settled()]
        assert len(settled) == len(set(settled)), "an entry ended twice"
        planned = ran.scene.entries.paths(Step.SEND, Step.COMPARE, Step.RECONCILE)
        assert set(settled) <= planned
        if ran.result is None or ran.scene.ledger.failure is not None:
            return
        assert sorted(told.started()) == sorted(told.ended())
        assert set(told.started()) <= set(settled)
        if ran.result.stop is None:
            assert set(settled) == planned
        states = self.world.states()
        taken_back = {one.path: one.state for _, one in told.events if isinstance(one, ReceiptWithdrawn)}
        for path, state in told.endings().items():
            reopened = state is EntryState.REJECTED and states[path] is EntryState.PENDING
            is_told = states[path] in (state, taken_back.get(path))
            assert is_told or reopened, f"{path}: told {state}, is {states[path]}"

    def _check_end(self, ran: Ran, ending: Ending) -> None:
        """L1, L4: the run ended (else it were stuck), promptly when it was told to, with the right verdict."""
        told_at = ran.began_at + ending.at_s
        stopped = ran.result is None or ran.result.stop is not None
        promptly_s = max(PROMPTLY_S, COMMITS_MAX * ran.scene.ledger.commit_s)
        if ending.kind in ("cancel", "abort") and stopped:
            assert ran.ended_at < told_at + promptly_s
        if ending.kind == "drain" and stopped:
            ends = [at for at, one in ran.told.events if isinstance(one, AttemptEnded)]
            assert ran.ended_at < max([told_at, *ends]) + promptly_s
        if ran.result is not None:
            assert ran.result.status is exit_status(
                ran.result.states, ran.result.stop, uncompared_count=ran.result.uncompared_count
            )
            if ran.scene.ledger.failure is not None:
                assert ran.result.status is ExitStatus.LEDGER_UNUSABLE

    def _disturb(self, scene: Scene, ending: Ending) -> None:
        scene.ledger.commit_s = self.chance.choice([0.002, 0.002, 0.05])
        scene.reader.read_s = self.chance.choice([0.0005, 0.0005, 0.05])
        acts: dict[str, Callable[[], object]] = {
            "drain": scene.drain,
            "cancel": scene.cancel,
            "abort": scene.abort,
            "kill": scene.kill,
        }
        act = acts.get(ending.kind)
        if act is not None:
            scene.after(ending.at_s, act)
        if ending.kind == "cancel" and self.chance.random() < 0.5:
            scene.after(ending.at_s * self.chance.random(), scene.drain)
        if ending.kind == "abort" and self.chance.random() < 0.5:
            scene.after(ending.at_s + 0.005 * self.chance.random(), scene.abort)
        for _ in range(self.chance.choice([0, 0, 1, 3])):
            path = self.chance.choice(self.world.entries).path
            scene.after(self.chance.uniform(0, 5), partial(self._change, path))

    def _ending(self) -> Ending:
        kind = self.chance.choice(["none", "drain", "cancel", "abort", "kill", "mishap"])
        at_s = self.chance.choice([0.1, 1.0, 1.0, 5.0, 5.0, 30.0]) * self.chance.random()
        mishap = None
        if kind == "mishap":
            mishap = Mishap(
                step_no=self.chance.randrange(1, 150),
                kills=self.chance.random() < 0.7,
                durable=self.chance.random() < 0.5,
            )
        return Ending(kind=kind, at_s=at_s, mishap=mishap)

    def _settings(self) -> RunSettings:
        chance = self.chance
        return RunSettings(
            concurrency=chance.choice([1, 2, 4, 8]),
            retry_policy=RetryPolicy(attempts_max=chance.choice([2, 6, 6])),
            in_doubt=chance.choice([InDoubtPolicy.RECONCILE] * 4 + [InDoubtPolicy.HOLD]),
            parked_max=chance.choice([1, 10, 1000]),
            errors_max=chance.choice([None, None, None, 3]),
            deadline_s=chance.choice([None, None, None, 40.0]),
        )

    def _faults(self) -> Faults:
        chance = self.chance

        def some(most: float) -> float:
            return chance.choice([0.0, 0.0, most * chance.random()])

        stops_runs = chance.random() < 0.15
        return Faults(
            refuse=some(0.2),
            lose_body=some(0.2),
            throttle=some(0.1),
            throttle_named=some(0.1),
            busy=some(0.1),
            busy_named=some(0.1),
            fail_early=some(0.1),
            fail_unstored=some(0.2),
            fail_stored=some(0.2),
            lose_unstored=some(0.2),
            lose_stored=some(0.2),
            hang_stored=some(0.1),
            bad_id=some(0.1),
            other_id=some(0.1),
            other_size=some(0.1),
            reject=some(0.1),
            forbid=some(0.05) if stops_runs else 0.0,
            deny=some(0.02) if stops_runs else 0.0,
            astray=some(0.1) if stops_runs else 0.0,
            redirect=some(0.02) if stops_runs else 0.0,
            list_fails=some(0.5),
        )

    def _server(self) -> ServerSettings:
        chance = self.chance
        return ServerSettings(
            capacity=chance.choice([1, 3, 1_000_000, 1_000_000]),
            list_lag_s=chance.choice([0.0, 1.5]),
            page_max=chance.choice([1_000_000, 20]),
            clock_ahead_s=chance.choice([0.0, -3600.0, 2.5, 86_400.0]),
        )

    def _add_files(self) -> None:
        chance = self.chance
        for number in range(chance.choice(self.sizes)):
            self.world.add(f"small/{number}.jsonl", chance.choice([0, 1, 500, 500, 70_000]))
        for number in range(chance.choice([0, 3, 6])):
            self.world.add(f"large/{number}.jsonl", LARGE_BYTES + chance.randrange(200_000))
        for group in range(chance.choice([0, 1, 2])):
            size = chance.choice([0, 100, LARGE_BYTES])
            for number in range(chance.randrange(2, 9)):
                self.world.add(f"twins/{group}/{number}/data.jsonl", size)
        chance.shuffle(self.world.entries)

    def _change_files(self) -> None:
        for entry in self.world.entries:
            if self.chance.random() < 0.03:
                self._change(entry.path)

    def _change(self, path: str) -> None:
        """Touch a file, or give it new content of the same or another size."""
        file = self.world.files.find(path)
        assert file is not None
        self.changed.add(path)
        kind = self.chance.choice(["touch", "rewrite", "resize"])
        if kind == "touch":
            self.world.files.touch(path)
        elif kind == "rewrite":
            self.world.files.write_size(path, len(file.content))
        else:
            self.world.files.write_size(path, len(file.content) + 7)


def tell(story: Story) -> None:
    """Play a story; what goes wrong names the command that repeats it."""
    try:
        story.tell()
    except BaseException as error:
        kind = type(story)
        made = (
            f"{kind.__name__}({story.seed}, sizes={story.sizes}, may_leave_doubts={story.may_leave_doubts})"
        )
        again = f"from {kind.__module__} import {kind.__name__}; {made}.tell()"
        error.add_note(f"seed {story.seed}: repeat with `python -c '{again}'`")
        raise


def tell_all(kind: type[Story], seeds: range, *, sizes: tuple[int, ...]) -> None:
    """Play many stories that may leave doubts. Raises an ExceptionGroup with what went wrong."""
    errors = []
    for seed in seeds:
        try:
            tell(kind(seed, sizes=sizes, may_leave_doubts=True))
        except Exception as error:
            errors.append(error)
    if errors:
        raise ExceptionGroup(f"{len(errors)} of {len(seeds)} seeds", errors)


def name_of_seed(seed: int) -> str:
    """Return the id of a test with a seed."""
    return f"seed{seed}"


def name_of_seeds(seeds: range) -> str:
    """Return the id of a test with many seeds."""
    return f"from-{seeds[0]}"
