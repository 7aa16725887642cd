"""Validation as a part of the run: nothing invalid is sent, nothing good waits for it, nothing is looked into twice."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bulk_upload.core.content_hash import SHA256_ONLY
from bulk_upload.core.events import AttemptStarted, DataFindings, Event, Noticed, Snapshot
from bulk_upload.core.model import EntryState
from bulk_upload.core.run.plan import Step
from bulk_upload.core.run.settings import RunSettings, ValidateMode
from bulk_upload.core.run.source import ContentCheck, SourceError
from bulk_upload.core.validation.admission import GROUP_ENTRIES_MAX
from bulk_upload.core.validation.report import FileReport
from bulk_upload.engine.validation import gate
from bulk_upload.engine.validation.validating import Checked, CheckTarget
from bulk_upload.exit_status import ExitStatus
from tests.fakes.validator import BAD, ODD, FakeValidator
from tests.fakes.world import LARGE_BYTES, Scene, World

ON = [ValidateMode.EACH, ValidateMode.AHEAD]
REASON = "line 7, column 3: so it is (bad-json)"


def world_of(*files: tuple[str, bytes | int]) -> World:
    """A world with these files: of a content, or of a size."""
    world = World()
    for path, content in files:
        world.add(path, content if isinstance(content, int) else 1)
        if isinstance(content, bytes):
            world.files.write(path, content)
    return world


def mode(one: ValidateMode, **changes: object) -> RunSettings:
    """Settings that validate so."""
    return replace(RunSettings(validate=one), **changes)


def large(word: bytes) -> bytes:
    """The content of a file that is streamed."""
    return word + b"." * LARGE_BYTES


class Meddling(FakeValidator):
    """Looks, and then something happens to the files, the first few times."""

    def __init__(self, world: World, meddle: Callable[[], None], *, times: int) -> None:
        super().__init__(world.files)
        self._meddle = meddle
        self._times = times

    def content_check(self, target: CheckTarget) -> ContentCheck:
        """Look, and meddle."""
        content_check = super().content_check(target)

        def look_and_meddle(content: bytes) -> FileReport:
            report = content_check(content)
            if len(self.looked) <= self._times:
                self._meddle()
            return report

        return look_and_meddle

    async def check_all(
        self, targets: Sequence[CheckTarget], *, are_small: bool
    ) -> list[Checked | SourceError]:
        """Look, and meddle."""
        results = await super().check_all(targets, are_small=are_small)
        if len(self.looked) <= self._times:
            self._meddle()
        return results


@pytest.mark.parametrize("one", ON)
@pytest.mark.parametrize("content", [BAD + b"..", large(BAD)], ids=["small", "large"])
def test_an_invalid_file_is_settled_and_the_rest_goes_on(one: ValidateMode, content: bytes) -> None:
    """The invalid entry has its reason in the ledger, nothing of it is sent, and the exit code tells."""
    world = world_of(("a", 10), ("b", content), ("c", LARGE_BYTES), ("d", 10))
    ran = world.run(mode(one), validator=FakeValidator(world.files))
    assert ran.scene.violations == []
    assert world.states() == {
        "a": EntryState.ACCEPTED, "b": EntryState.INVALID, "c": EntryState.ACCEPTED, "d": EntryState.ACCEPTED,
    }  # fmt: skip
    assert world.ledger.reason("b") == REASON
    assert ran.result is not None
    assert ran.result.status is ExitStatus.SOME_FAILED
    assert "b" not in ran.told.started()
    assert len(ran.told.settled()) == 4
    rows = world.ledger.connection.execute(
        "SELECT error_count, reason, findings FROM validations WHERE error_count"
    )
    ((count, reason, findings),) = rows.fetchall()
    assert (count, reason) == (1, REASON)
    assert '"line": 7' in findings


def test_off_looks_into_nothing() -> None:
    """`off` sends whatever there is."""
    world = world_of(("a", BAD))
    validator = FakeValidator(world.files)
    world.run(mode(ValidateMode.OFF), validator=validator)
    assert (world.states(), validator.looked) == ({"a": EntryState.ACCEPTED}, [])


def test_uploads_do_not_wait_for_a_large_file_that_is_looked_into() -> None:
    """Ahead: small files go on while a large one before them is still looked at."""
    world = world_of(("large", LARGE_BYTES), *((f"{number}", 100) for number in range(50)))
    ran = world.run(
        mode(ValidateMode.AHEAD), validator=FakeValidator(world.files, bytes_per_s=LARGE_BYTES / 100)
    )
    assert ran.told.started()[-1] == "large"
    last_small = max(
        at for at, event in ran.told.events if isinstance(event, AttemptStarted) and event.path != "large"
    )
    assert last_small < 50


@pytest.mark.parametrize("one", list(ValidateMode))
def test_a_snapshot_tells_how_many_were_looked_into_ahead(one: ValidateMode) -> None:
    """While they are looked into and afterwards, good and bad; only where that is done ahead of the uploads."""
    world = world_of(("good", LARGE_BYTES), ("bad", large(BAD)))
    early: list[Snapshot] = []
    ran = world.run(
        mode(one),
        validator=FakeValidator(world.files, bytes_per_s=LARGE_BYTES),
        script=lambda scene: scene.after(0.1, lambda: early.append(scene.run.snapshot())),
    )
    late = ran.scene.left
    assert late is not None
    ahead = one is ValidateMode.AHEAD
    assert [(now.validating_count, now.validated_count) for now in (*early, late)] == (
        [(2, 0), (0, 2)] if ahead else [(0, 0), (0, 0)]
    )
    assert late.validated_bytes == (2 * LARGE_BYTES + len(BAD) if ahead else 0)


def test_files_are_looked_into_while_others_are_sent() -> None:
    """Ahead: the look at a file falls into the time that others take to be sent."""
    world = world_of(*((f"{number}", LARGE_BYTES + number) for number in range(20)))
    looked = FakeValidator(world.files, bytes_per_s=LARGE_BYTES / 0.01)
    ran = world.run(mode(ValidateMode.AHEAD, concurrency=1), validator=looked)
    bare = world_of(*((f"{number}", LARGE_BYTES + number) for number in range(20))).run(
        mode(ValidateMode.OFF, concurrency=1)
    )
    assert ran.lasted_s < bare.lasted_s + 0.05
    assert looked.looked == [f"{number}" for number in range(20)]


def test_each_looks_into_a_file_when_its_turn_comes() -> None:
    """Each: no more files are looked into than are at work."""
    world = world_of(*((f"{number}", LARGE_BYTES + number) for number in range(20)))
    validator = FakeValidator(world.files)
    looked_before: list[int] = []

    def script(scene: Scene) -> None:
        def hook(event: Event) -> None:
            if isinstance(event, AttemptStarted):
                looked_before.append(len(validator.looked) - len(looked_before))

        scene.hooks.append(hook)

    world.run(mode(ValidateMode.EACH, concurrency=2), validator=validator, script=script)
    assert max(looked_before) <= 3


def test_remembered_verdicts() -> None:
    """A file that was found good is not looked into again until it, or the rules, change; an invalid one neither."""
    world = world_of(("bad", large(BAD)), ("good", LARGE_BYTES))
    settings_ = mode(ValidateMode.AHEAD)
    validator = FakeValidator(world.files)

    def kill_before_anything_is_sent(scene: Scene) -> None:
        scene.hooks.append(lambda event: scene.kill() if isinstance(event, AttemptStarted) else None)

    world.run(settings_, validator=validator, script=kill_before_anything_is_sent)
    assert sorted(validator.looked) == ["bad", "good"]
    validator.looked.clear()
    world.now += 100
    again = FakeValidator(world.files)
    ran = world.run(replace(settings_, retry=frozenset({EntryState.INVALID})), validator=again)
    assert again.looked == []
    assert ran.told.endings()["bad"] is EntryState.INVALID
    stricter = FakeValidator(world.files, rules="2")
    world.run(replace(settings_, retry=frozenset({EntryState.INVALID})), validator=stricter)
    assert stricter.looked == ["bad"]


def test_a_mended_file_is_sent_without_being_asked_for() -> None:
    """An invalid entry is left alone until its file changes."""
    world = world_of(("a", BAD))
    validator = FakeValidator(world.files)
    world.run(mode(ValidateMode.AHEAD), validator=validator)
    ran = world.run(mode(ValidateMode.AHEAD), validator=validator)
    assert ran.scene.entries.paths(Step.BLOCKED) == {"a"}
    assert validator.looked == ["a"]
    world.files.write("a", b"good")
    world.run(mode(ValidateMode.AHEAD), validator=validator)
    assert world.states() == {"a": EntryState.ACCEPTED}


def test_invalid_files_are_sent_when_that_is_asked_for() -> None:
    """With `sends_invalid` there is a note in the place of the refusal; what was found is counted in either case."""
    world = world_of(("a", BAD), ("b", ODD))
    ran = world.run(mode(ValidateMode.AHEAD, sends_invalid=True), validator=FakeValidator(world.files))
    assert set(world.states().values()) == {EntryState.ACCEPTED}
    notes = {event.path: event.message for _, event in ran.told.events if isinstance(event, Noticed)}
    assert notes == {
        "a": f"invalid, but sent as requested: {REASON}",
    }
    found = {event.path: event for _, event in ran.told.events if isinstance(event, DataFindings)}
    assert {path: (one.counts, one.first_lines, one.line_count) for path, one in found.items()} == {
        "a": ({"bad-json": 1}, {"bad-json": 7}, 9),
        "b": ({"empty-content": 1}, {"empty-content": 7}, 9),
    }


@pytest.mark.parametrize("one", ON)
@pytest.mark.parametrize("word", [BAD, b"new"])
def test_a_small_file_is_sent_as_it_was_seen(one: ValidateMode, word: bytes) -> None:
    """A small file is looked at in the same read that it is sent from: a later version is another run's business."""
    seen, changed = b"ok " + b"." * 10, word + b"." * 10
    world = world_of(("a", seen))
    validator = Meddling(world, lambda: world.files.write("a", changed), times=1)
    assert world.run(mode(one), validator=validator).scene.violations == []
    assert world.states()["a"] is EntryState.ACCEPTED
    assert {world.server.hashes_of(one.file_id, SHA256_ONLY)[0] for one in world.server.stored} == {
        hashlib.sha256(seen).hexdigest()
    }
    assert world.run(mode(one), validator=FakeValidator(world.files)).scene.violations == []
    assert world.states()["a"] is (EntryState.INVALID if word is BAD else EntryState.ACCEPTED)
    assert len(world.server.stored) == (1 if word is BAD else 2)


@pytest.mark.parametrize("one", ON)
@pytest.mark.parametrize("word", [BAD, b"new"])
def test_a_large_file_that_changes_between_the_look_and_the_upload(one: ValidateMode, word: bytes) -> None:
    """Another version of the file is looked into anew, also one of the same size, and never sent unseen."""
    size = LARGE_BYTES
    world = world_of(("a", b"ok " + b"." * size))
    changed = word + b"." * (size + 3 - len(word))
    validator = Meddling(world, lambda: world.files.write("a", changed), times=1)
    ran = world.run(mode(one), validator=validator)
    assert ran.scene.violations == []
    expected = EntryState.INVALID if word is BAD else EntryState.ACCEPTED
    assert world.states()["a"] is expected
    sent = {world.server.hashes_of(one.file_id, SHA256_ONLY)[0] for one in world.server.stored}
    assert sent == (set() if word is BAD else {hashlib.sha256(changed).hexdigest()})
    assert world.ledger.open_intent_count() == 0


def test_a_file_that_never_stays_as_it_was_seen() -> None:
    """A file that is written to all the time is failed, not sent and not looked into for ever."""
    world = world_of(("a", LARGE_BYTES))
    world.run(mode(ValidateMode.AHEAD), validator=Meddling(world, lambda: world.files.touch("a"), times=100))
    assert world.states() == {"a": EntryState.FAILED_LOCAL}
    assert world.ledger.reason("a") == "the file keeps changing"


@pytest.mark.parametrize("one", ON)
def test_a_file_that_cannot_be_read_is_failed(one: ValidateMode) -> None:
    """What the look meets, the attempt would meet: the entry fails with the system's words."""
    world = world_of(("a", 10), ("b", LARGE_BYTES), ("c", 10))
    world.files.deny("a")
    world.files.deny("b")
    world.run(mode(one), validator=FakeValidator(world.files))
    assert world.states() == {
        "a": EntryState.FAILED_LOCAL, "b": EntryState.FAILED_LOCAL, "c": EntryState.ACCEPTED,
    }  # fmt: skip


@pytest.mark.parametrize("one", ON)
@pytest.mark.parametrize("size", [10, LARGE_BYTES], ids=["small", "large"])
def test_a_file_system_that_fails_while_files_are_checked_settles_nothing(
    one: ValidateMode, size: int
) -> None:
    """The file is read again, and left to the next run where that does not help."""
    world = world_of(("a", size))

    def script(scene: Scene) -> None:
        world.files.deny("a", errno.EIO)
        scene.after(1, lambda: world.files.deny("a", 0))

    world.run(mode(one), validator=FakeValidator(world.files), script=script)
    assert world.states() == {"a": EntryState.ACCEPTED}
    world = world_of(("a", size))
    ran = world.run(
        mode(one),
        validator=FakeValidator(world.files),
        script=lambda _: world.files.deny("a", errno.EIO),
    )
    assert world.states() == {"a": EntryState.PENDING}
    assert world.ledger.reason("a") == "cannot read the file: Input/output error (after 6 attempts)"
    assert ran.result is not None
    assert ran.result.status is ExitStatus.UNFINISHED
    world.files.deny("a", 0)
    world.run(mode(one), validator=FakeValidator(world.files))
    assert world.states() == {"a": EntryState.ACCEPTED}


def test_a_touched_file_is_compared_before_it_is_looked_into() -> None:
    """A file with the content that was accepted is not looked into; with another one it is."""
    world = world_of(("same", 1000), ("other", 1000))
    world.run(mode(ValidateMode.OFF))
    world.files.touch("same")
    world.files.write("other", BAD + b"." * 997)
    validator = FakeValidator(world.files)
    world.run(mode(ValidateMode.AHEAD), validator=validator)
    assert validator.looked == ["other"]
    assert world.states() == {"same": EntryState.ACCEPTED, "other": EntryState.INVALID}


@pytest.mark.parametrize("one", ON)
def test_a_drain_does_not_wait_for_a_look(one: ValidateMode) -> None:
    """What is still looked into when the run drains stays pending, and the run ends at once."""
    world = world_of(*((f"{number}", LARGE_BYTES) for number in range(10)))
    slow = FakeValidator(world.files, bytes_per_s=1.0)
    ran = world.run(mode(one), validator=slow, script=lambda scene: scene.after(5.0, scene.drain))
    assert ran.lasted_s < 6
    assert set(world.states().values()) == {EntryState.PENDING}
    assert ran.result is not None
    assert ran.result.status is ExitStatus.INTERRUPTED


def test_only_so_many_entries_are_looked_into_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """The look ahead keeps a bounded number of entries, and still comes to the end of the manifest."""
    monkeypatch.setattr(gate, "AHEAD_ENTRIES_MAX", 100)
    world = world_of(*((f"{number:04d}", 100) for number in range(1000)))
    validator = FakeValidator(world.files, bytes_per_s=1e9)
    most = 0

    def script(scene: Scene) -> None:
        def hook(event: Event) -> None:
            nonlocal most
            if isinstance(event, AttemptStarted):
                most = max(most, len(validator.looked) - len(scene.told.started()))

        scene.hooks.append(hook)

    world.run(mode(ValidateMode.AHEAD), validator=validator, script=script)
    assert len(validator.looked) == 1000
    assert most <= 100 + 4 * GROUP_ENTRIES_MAX
    assert set(world.states().values()) == {EntryState.ACCEPTED}


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.sampled_from([BAD, ODD, b"ok"]), st.sampled_from([0, 300_000])), max_size=12),
    st.sampled_from(ON),
    st.integers(1, 8),
)
def test_every_entry_ends_once_and_as_its_content_says(
    files: list[tuple[bytes, int]], one: ValidateMode, concurrency: int
) -> None:
    """Whatever the files, invalid ones are invalid, good ones accepted, each told once."""
    world = world_of(
        *((f"{number}", word + b"." * size + b"%d" % number) for number, (word, size) in enumerate(files))
    )
    ran = world.run(mode(one, concurrency=concurrency), validator=FakeValidator(world.files))
    assert ran.scene.violations == []
    expected = {
        f"{number}": EntryState.INVALID if word is BAD else EntryState.ACCEPTED
        for number, (word, _) in enumerate(files)
    }
    assert world.states() == expected
    assert sorted(event.path for event in ran.told.settled()) == sorted(expected)
