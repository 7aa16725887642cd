"""What the ends of bundles teach about sending more of them."""

from __future__ import annotations

import pytest

from bulk_upload.core.bundle.answer import Lesson
from bulk_upload.core.bundle.bundling import FAILED_MAX, Bundling


def after(*lessons: Lesson, file_count: int = 16) -> tuple[Bundling, list[str | None]]:
    """Return what is known after so many bundles, one after another, and what a person is told of each."""
    bundling = Bundling(16)
    told = []
    for lesson in lessons:
        bundling.begin()
        told.append(bundling.end(lesson, file_count))
    return bundling, told


def test_the_first_bundle_goes_alone() -> None:
    """Until files were accepted in a bundle there is one at a time."""
    bundling = Bundling(16)
    assert bundling.may_begin()
    bundling.begin()
    assert not bundling.may_begin()
    bundling.end(Lesson.LOST, 16)
    assert bundling.may_begin()
    bundling.begin()
    assert not bundling.may_begin()
    bundling.end(Lesson.SERVED, 16)
    bundling.begin()
    assert bundling.may_begin()


@pytest.mark.parametrize("lesson", [Lesson.UNSERVED, Lesson.UNCLEAR])
def test_a_server_without_bundles(lesson: Lesson) -> None:
    """No such call, or answers that show nothing, to the first bundle: the rest goes one by one, and is told once."""
    bundling, (told,) = after(lesson)
    assert not bundling.is_on
    assert bundling.files_max == 1
    assert told is not None
    assert told.endswith("the rest is sent one by one")


@pytest.mark.parametrize("lesson", [Lesson.REFUSED, Lesson.UNSERVED, Lesson.UNCLEAR])
def test_bundles_that_come_to_nothing(lesson: Lesson) -> None:
    """Once bundles were served, only several in a row that were not end them."""
    failed = [lesson] * (FAILED_MAX - 1)
    assert after(Lesson.SERVED, *failed, Lesson.SERVED, *failed)[0].is_on
    assert not after(Lesson.SERVED, *failed, lesson)[0].is_on


def test_an_outage_is_no_reason() -> None:
    """Lost answers end bundles only before one was served: then they may be what the server does with bundles."""
    assert after(Lesson.SERVED, *[Lesson.LOST] * 10)[0].is_on
    assert not after(*[Lesson.LOST] * FAILED_MAX)[0].is_on
    assert after(*[Lesson.NONE] * 10)[0].is_on


def test_413_halves() -> None:
    """Too large together: half as many from then on, down to none together; late answers change nothing."""
    bundling, told = after(Lesson.TOO_LARGE)
    assert bundling.files_max == 8
    assert told == ["HTTP 413 to 16 files in one request: at most 8 from now on"]
    bundling.begin()
    assert bundling.end(Lesson.TOO_LARGE, 16) is None
    assert bundling.files_max == 8
    for count in (8, 4, 2):
        bundling.begin()
        bundling.end(Lesson.TOO_LARGE, count)
    assert not bundling.is_on


def test_off() -> None:
    """Without bundles there are none."""
    for count in (0, 1):
        assert not Bundling(count).is_on
        assert not Bundling(count).may_begin()
