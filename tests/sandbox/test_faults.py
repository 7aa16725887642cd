from __future__ import annotations

from collections import Counter

import pytest

from bulk_upload.errors import UsageError
from bulk_upload.sandbox import Chance, FaultKind, Faults, Moment, Step, parse_faults, parse_step
from bulk_upload.sandbox.chooser import FaultChooser, TokenBucket
from bulk_upload.sandbox.fault_text import PRESETS
from bulk_upload.sandbox.faults import OK

STEPS = [
    "ok",
    "429:1",
    "503",
    "503:date+2",
    "early-413",
    "stored-500:3",
    "307:http://127.0.0.1:9/x",
    "429:1e400",
]
STEPS += ["drop-mid:0.25", "slow:2000", "stall:3", "delay:0.5"]
STEPS += [kind.value for kind in FaultKind if kind is not FaultKind.STATUS]


@pytest.mark.parametrize("text", STEPS)
def test_steps_read_as_they_are_written(text: str) -> None:
    """A step's text form reads back into the same step."""
    step = parse_step(text)
    assert str(step) == text
    assert parse_step(str(step)) == step


def test_a_mixed_text() -> None:
    """Script, repeats, chances and settings stand in one text, between commas or spaces."""
    faults = parse_faults(
        "ok, 429:1*2 drop-stored@5%,early-503:2@0.1,budget=2,list-lag=1.5,seed=7,max-in-flight=4"
    )
    throttled = Step(kind=FaultKind.STATUS, status=429, retry_after="1")
    assert faults == Faults(
        script=(OK, throttled, throttled),
        chances=(
            Chance(step=Step(kind=FaultKind.DROP_STORED), probability=0.05),
            Chance(
                step=Step(kind=FaultKind.STATUS, status=503, moment=Moment.EARLY, retry_after="2"),
                probability=0.1,
            ),
        ),
        fault_budget=2,
        list_lag_s=1.5,
        seed=7,
        max_in_flight=4,
    )


def test_settings_have_words_of_their_own() -> None:
    """Every setting can be given in the text form."""
    text = "answer-delay=0.2 read-rate=1000 rate=5 burst=3 linger=0 ignore-expect=yes"
    assert parse_faults(text) == Faults(
        answer_delay_s=0.2, read_bytes_per_s=1000, rate_per_s=5, burst=3, linger_s=0, ignore_expect=True
    )
    assert parse_faults("") == Faults()


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_end(preset: str) -> None:
    """Every preset is a valid text with a budget, so that its storm ends."""
    faults = parse_faults(preset)
    assert faults.chances
    assert faults.fault_budget is not None


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "status",
        "ok:1",
        "42",
        "999",
        "429@2",
        "429@x%",
        "drop-mid:1.5",
        "drop-mid:nan",
        "slow:0",
        "ok*x",
        "budget=x",
        "budget=-1",
        "list-lag=-1",
        "rate=0",
        "burst=0",
        "unknown=1",
        "ignore-expect=maybe",
        "429@60%,500@50%",
        "delay:inf",
        "max-in-flight=0",
        "ok*999999",
        "429:\x07",
    ],
)
def test_nonsense_is_refused_with_a_hint(text: str) -> None:
    """A text that means nothing is a usage error that says what can be written."""
    with pytest.raises(UsageError) as caught:
        parse_faults(text)
    assert caught.value.hint


def test_a_seed_repeats_the_sequence() -> None:
    """The same seed draws the same faults, another seed other ones."""

    def drawn(seed: int) -> list[str]:
        chooser = FaultChooser(parse_faults(f"429@30%,drop-stored@30%,seed={seed}"))
        return [str(chooser.draw(100).step) for _ in range(50)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert set(drawn(1)) == {"ok", "429", "drop-stored"}


def test_the_script_comes_first_and_ignores_the_budget() -> None:
    """Script steps are taken in order, before any chance, and no budget stops them."""
    chooser = FaultChooser(parse_faults("429*3,500@1,budget=0"))
    draws = [chooser.draw(10) for _ in range(4)]
    steps = [chooser.settle(draw, content_length=10, filename="a", purpose="p") for draw in draws]
    assert [str(step) for step in steps] == ["429", "429", "429", "ok"]


def test_the_budget_holds_for_each_file() -> None:
    """No file meets more faults by chance than its budget, early ones included, and every file meets some."""
    chooser = FaultChooser(parse_faults("early-503@30%,500@30%,drop-mid@30%,budget=3,seed=5"))
    met: Counter[str] = Counter()
    for turn in range(600):
        name = f"file-{turn % 6}"
        length = 100 + turn % 3
        draw = chooser.draw(length)
        step = chooser.settle(draw, content_length=length, filename=name, purpose="p")
        met[name] += step is not OK
    assert set(met.values()) <= {1, 2, 3}
    assert sum(met.values()) >= 9


def test_the_bucket_says_exactly_when() -> None:
    """A bucket lets the burst through, then names the wait after which a token is there."""
    bucket = TokenBucket(rate_per_s=4, burst=2)
    assert [bucket.take(10.0), bucket.take(10.0)] == [0, 0]
    wait_s = bucket.take(10.0)
    assert wait_s == pytest.approx(0.25)
    assert bucket.take(10.0 + wait_s) == 0
    assert bucket.take(10.0 + wait_s) == pytest.approx(0.25)
    assert [bucket.take(99.0), bucket.take(99.0)] == [0, 0]
    assert bucket.take(99.0) > 0
