"""A job's whole life in any order: runs, kills, faults, files that change, trees that move.

The engine, its ledger on SQLite and the plan are the real ones; server, disk and time are not. Long version, two
thousand lives: pytest -m soak tests/engine/test_job_machine.py
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections import Counter
from functools import partial

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from msgspec.structs import replace

from bulk_upload.core.model import EntryState
from bulk_upload.core.run.plan import Step
from bulk_upload.core.run.settings import InDoubtPolicy, RunSettings
from bulk_upload.exit_status import ExitStatus
from tests.fakes.fates import Faults
from tests.fakes.ledger import Mishap
from tests.fakes.server_settings import ServerSettings
from tests.fakes.world import LARGE_BYTES, Ran, Scene, World

PATHS = [*(f"plain/{number}.jsonl" for number in range(4)), "a/twin.jsonl", "b/twin.jsonl", "c/twin.jsonl"]
SIZES = st.sampled_from([0, 1, 500, 70_000, LARGE_BYTES + 1])
FAULTS = st.sampled_from(
    [
        Faults(),
        Faults(lose_stored=0.4, lose_unstored=0.2),
        Faults(fail_stored=0.4, fail_unstored=0.3),
        Faults(bad_id=0.2, other_id=0.2, other_size=0.3),
        Faults(throttle_named=0.3, busy_named=0.2, throttle=0.2),
        Faults(refuse=0.3, lose_body=0.3, fail_early=0.2),
        Faults(lose_stored=0.3, fail_stored=0.2, list_fails=0.6),
        Faults(hang_stored=0.3, lose_stored=0.3),
        Faults(reject=0.3, forbid=0.1),
    ]
)
MIXED_UP = st.sampled_from(
    [
        Faults(crossed_id=0.3),
        Faults(crossed_id=1.0),
        Faults(other_file=0.4),
        Faults(any_id=0.4),
        Faults(other_id=0.4, lose_stored=0.2),
    ]
)
"""Crossed answers, swapped names, foreign ids and repeated ones."""

LISTS = st.sampled_from(
    [ServerSettings(), ServerSettings(list_lag_s=3.0, page_max=3), ServerSettings(capacity=2)]
)
UNREADABLE = os.strerror(errno.EIO)
RETRIED = frozenset({EntryState.REJECTED, EntryState.FAILED_LOCAL})
RUN = RunSettings(concurrency=4)
PATIENT = replace(RUN, retry=RETRIED)


class JobMachine(RuleBasedStateMachine):
    """One job. After every step its ledger is held against the server's own books."""

    @initialize(seed=st.integers(0, 10_000), twin_size=st.sampled_from([0, 100, LARGE_BYTES + 1]))
    def begin(self, seed: int, twin_size: int) -> None:
        """Make a tree and its manifest."""
        self.world = World(seed)
        for path in PATHS:
            self.world.add(path, twin_size if "twin" in path else 500)
        self.dropped = [self.world.entries.pop()]
        self.root_count = 0
        self.killed = False

    @rule(faults=FAULTS, server=LISTS)
    def set_faults(self, faults: Faults, server: ServerSettings) -> None:
        """Let other things go wrong at the server from now on."""
        self.world.server.faults = faults
        self.world.server.settings = server

    @rule(policy=st.sampled_from([InDoubtPolicy.RECONCILE, InDoubtPolicy.RECONCILE, InDoubtPolicy.HOLD]))
    def run(self, policy: InDoubtPolicy) -> None:
        """Run to the end, whatever the server does."""
        self.check_end(self.world.run(replace(RUN, in_doubt=policy, deadline_s=600.0)))

    @rule(faults=MIXED_UP)
    def run_while_answers_are_mixed_up(self, faults: Faults) -> None:
        """Answers have the ids or all fields of other files: at the end no entry is accepted with the wrong one."""
        server = self.world.server
        usual = server.faults, server.settings
        server.faults, server.settings = faults, ServerSettings()
        self.check_end(self.world.run(RUN))
        server.faults, server.settings = usual

    @rule(faults=MIXED_UP, at_s=st.floats(0, 3), kills=st.booleans())
    def run_after_answers_were_mixed_up_in_a_run_that_ended_early(
        self, faults: Faults, at_s: float, kills: bool
    ) -> None:
        """A run that is killed or stopped makes no check: the next one makes it, also if it has nothing to send."""
        server = self.world.server
        usual = server.faults, server.settings
        server.faults, server.settings = faults, ServerSettings()
        self.world.run(RUN, script=lambda scene: scene.after(at_s, scene.kill if kills else scene.cancel))
        server.faults = Faults()
        self.check_end(self.world.run(RUN))
        server.faults, server.settings = usual

    @rule(at_s=st.floats(0, 3), again_s=st.floats(0, 1))
    def run_and_stop(self, at_s: float, again_s: float) -> None:
        """Stop a run: first a drain, then a cancel."""

        def script(scene: Scene) -> None:
            scene.after(at_s, scene.drain)
            scene.after(at_s + again_s, scene.cancel)

        self.check_end(self.world.run(RUN, script=script))

    @rule(at_s=st.floats(0, 3))
    def run_and_kill(self, at_s: float) -> None:
        """Kill -9 at any instant."""
        self.killed = self.world.run(RUN, script=lambda scene: scene.after(at_s, scene.kill)).killed

    @rule(step_no=st.integers(1, 60), kills=st.booleans(), durable=st.booleans())
    def run_into_a_mishap(self, step_no: int, kills: bool, durable: bool) -> None:
        """At its n-th step the ledger's disk breaks, or the process dies before or after it was durable."""
        ran = self.world.run(RUN, mishap=Mishap(step_no=step_no, kills=kills, durable=durable))
        self.killed = ran.killed or ran.scene.ledger.failure is not None

    @rule(path=st.sampled_from(PATHS), size=SIZES, at_s=st.none() | st.floats(0, 2))
    def edit(self, path: str, size: int, at_s: float | None) -> None:
        """Give a file new content, between runs or in the midst of one."""
        self.change(partial(self.world.files.write_size, path, size), at_s)

    @rule(path=st.sampled_from(PATHS), at_s=st.none() | st.floats(0, 2))
    def touch(self, path: str, at_s: float | None) -> None:
        """Touch a file."""
        self.change(partial(self.world.files.touch, path), at_s)

    @rule(path=st.sampled_from(PATHS), at_s=st.none() | st.floats(0, 2))
    def link(self, path: str, at_s: float | None) -> None:
        """Change a file's attributes alone, as a snapshot by hard links or chmod does."""
        self.change(partial(self.world.files.link, path), at_s)

    @rule(path=st.sampled_from(PATHS), at_s=st.floats(0, 2), lasts_s=st.sampled_from([0.2, 5.0, 1000.0]))
    def run_while_a_mount_fails(self, path: str, at_s: float, lasts_s: float) -> None:
        """A file cannot be read for a while, in the middle of its body, too: that settles nothing as failed."""

        def script(scene: Scene) -> None:
            scene.after(at_s, partial(self.world.files.deny, path, errno.EIO))
            scene.after(at_s + lasts_s, partial(self.world.files.deny, path, 0))

        self.check_end(self.world.run(RUN, script=script))
        self.world.files.deny(path, 0)
        state = self.world.states().get(path)
        assert state is not EntryState.FAILED_LOCAL or UNREADABLE not in (
            self.world.ledger.reason(path) or ""
        )

    @rule()
    def move_the_tree(self) -> None:
        """Copy the whole tree elsewhere: every file has another inode, and the same bytes."""
        self.root_count += 1
        for path in PATHS:
            self.world.files.copy(path)
        self.world.ledger.move_root(f"/moved-{self.root_count}")

    @rule()
    def add_or_drop_a_line(self) -> None:
        """Put the line that is not in the manifest into it, and take another one out."""
        self.world.entries.append(self.dropped.pop())
        self.dropped.append(self.world.entries.pop(0))

    @rule(seconds=st.sampled_from([1.0, 40.0, 4000.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass between two runs."""
        self.world.now += seconds

    @rule()
    def heal(self) -> None:
        """Once nothing goes wrong any more, one run settles all, and another one has nothing to do."""
        self.world.server.heal()
        self.world.server.settings = ServerSettings()
        self.world.now += 60.0
        healed = self.world.run(PATIENT)
        self.check_end(healed)
        states = self.world.states()
        open_paths = [one.path for one in self.world.entries if states[one.path] is not EntryState.ACCEPTED]
        assert self.are_equal_twins(open_paths)
        assert healed.result is not None
        assert healed.result.status is (ExitStatus.IN_DOUBT if open_paths else ExitStatus.DONE)
        current = self.world.ledger.current_receipts()
        sources = {one.file_id: one.source for one in self.world.server.stored}
        for entry in self.world.entries:
            file = self.world.files.find(entry.path)
            assert file is not None
            if entry.path in open_paths:
                continue
            assert self.world.files.content_of(sources[current[entry.path]]) == file.content
        request_count = self.world.server.request_count
        self.check_end(self.world.run(RUN))
        assert self.world.server.request_count == request_count

    @invariant()
    def every_id_is_the_right_ones(self) -> None:
        """Each receipt names a file that the server made of that very entry, with the bytes of the receipt's hash.

        Not one that is in question: its entry is in doubt.
        """
        if not hasattr(self, "world"):
            return
        files, ledger = self.world.files, self.world.ledger
        sources = {one.file_id: one.source for one in self.world.server.stored}
        hashes = ledger.sha256s()
        in_question = ledger.in_question()
        for file_id, path in ledger.receipts().items():
            if file_id in in_question:
                continue
            assert files.path_of(sources[file_id]) == path
            if file_id in hashes:
                assert hashlib.sha256(files.content_of(sources[file_id])).hexdigest() == hashes[file_id]

    @invariant()
    def no_version_is_there_twice(self) -> None:
        """Nobody asked for a resend: the server has each version of each file once at most."""
        if not hasattr(self, "world"):
            return
        files = self.world.files
        copies = Counter(
            (files.path_of(one.source), files.content_of(one.source)) for one in self.world.server.stored
        )
        # Nothing tells two versions apart that are empty, or cut to the same first byte.
        assert not [path for (path, content), count in copies.items() if count > 1 and len(content) > 100]

    @invariant()
    def what_has_no_receipt_is_in_doubt(self) -> None:
        """A file at the server is in a receipt, or its entry is in doubt."""
        if not hasattr(self, "world"):
            return
        ledger = self.world.ledger
        receipts = ledger.receipts()
        open_paths = ledger.doubtful() | ledger.open_intents()
        strays = {
            self.world.files.path_of(one.source)
            for one in self.world.server.stored
            if one.file_id not in receipts
        }
        assert strays <= open_paths

    def are_equal_twins(self, paths: list[str]) -> bool:
        """Whether each of these files has one of the same name and bytes among them: nothing tells whose a copy is."""
        files = [(path.rpartition("/")[2], self.world.files.find(path)) for path in paths]
        counts = Counter((name, file and file.content) for name, file in files)
        return all(count > 1 for count in counts.values())

    def change(self, act: partial[None], at_s: float | None) -> None:
        """Change the tree now, or so long after a run began."""
        if at_s is None:
            act()
        else:
            self.check_end(self.world.run(RUN, script=lambda scene: scene.after(at_s, act)))

    def check_end(self, ran: Ran) -> None:
        """Check what holds after a run that ended by itself."""
        self.killed = False
        assert ran.scene.violations == [], ran.scene.violations[:3]
        assert self.world.ledger.complaints() == []
        assert self.world.ledger.open_intent_count() == 0
        assert ran.scene.entries.paths(Step.BLOCKED).isdisjoint(ran.told.started())


QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def test_a_job_survives_any_life() -> None:
    """Nothing is lost, nothing is doubled, and no id is a wrong one."""
    run_state_machine_as_test(
        JobMachine,
        settings=settings(
            max_examples=60, stateful_step_count=14, deadline=None, suppress_health_check=QUIET
        ),
    )


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_job_survives_two_thousand_lives() -> None:
    """The same for longer."""
    run_state_machine_as_test(
        JobMachine,
        settings=settings(
            max_examples=2000, stateful_step_count=25, deadline=None, suppress_health_check=QUIET
        ),
    )
