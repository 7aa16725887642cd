"""Settings by keyword: units in the names, words for modes, mistakes told before anything begins."""

from __future__ import annotations

from typing import Any

import pytest

from bulk_upload import (
    ConfirmMode,
    EntryState,
    InDoubtPolicy,
    RetryPolicy,
    RunSettings,
    Timetable,
    UsageError,
    ValidateMode,
)
from bulk_upload import Uploader as PublicUploader
from bulk_upload.core.content_hash import HashFunction
from bulk_upload.library.settings import _CHECKS, SETTING_NAMES, settings_with


def test_every_setting_has_a_keyword() -> None:
    """All fields of RunSettings can be given, and three of RetryPolicy, and the bandwidth as a number."""
    further = {"bandwidth_bytes_per_s", "attempts_max", "backoff_s_initial", "backoff_s_max"}
    assert set(RunSettings.__struct_fields__) | further == SETTING_NAMES == set(_CHECKS)


def test_keywords_replace_what_the_settings_have() -> None:
    """What is not given stays as it is in `settings`, also within the retry policy."""
    base = RunSettings(concurrency=3, patience_s=5.0, retry_policy=RetryPolicy(attempts_max=9))
    settings = settings_with(
        base,
        {
            "concurrency": None,
            "rate_per_s": 2,
            "bandwidth_bytes_per_s": 1e6,
            "backoff_s_max": 4.0,
            "in_doubt": "hold",
            "validate": ValidateMode.OFF,
            "confirm": "off",
            "retry": ["rejected", EntryState.FAILED_LOCAL],
            "hashing": False,
        },
    )
    assert settings == RunSettings(
        concurrency=None,
        rate_per_s=2,
        bandwidth=Timetable.always(1e6),
        patience_s=5.0,
        retry_policy=RetryPolicy(attempts_max=9, backoff_s_max=4.0),
        in_doubt=InDoubtPolicy.HOLD,
        validate=ValidateMode.OFF,
        confirm=ConfirmMode.OFF,
        retry=frozenset({EntryState.REJECTED, EntryState.FAILED_LOCAL}),
        hashing=None,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("concurrency", 0),
        ("concurrency", 2.5),
        ("concurrency", True),
        ("concurrency", "4"),
        ("attempts_max", 0),
        ("rate_per_s", 0),
        ("rate_per_s", float("nan")),
        ("bandwidth", 1_000_000),
        ("bandwidth_bytes_per_s", -1),
        ("patience_s", None),
        ("deadline_s", float("inf")),
        ("errors_share", 1.5),
        ("in_doubt", "ask"),
        ("validate", None),
        ("retry", "rejected"),
        ("retry", ["accepted"]),
        ("retry_policy", {}),
        ("hashing", 1),
        ("hashing", "md5"),
    ],
)
def test_a_value_that_cannot_be_is_told(name: str, value: Any) -> None:
    """The message names the argument and its value, the hint what may be given."""
    with pytest.raises(UsageError, match=f"^{name} cannot be ") as caught:
        PublicUploader(api_key="key", **{name: value})
    assert caught.value.hint is not None


@pytest.mark.parametrize(
    ("given", "function"),
    [
        (True, HashFunction.SHA256),
        ("sha256", HashFunction.SHA256),
        ("blake3", HashFunction.BLAKE3),
        (HashFunction.BLAKE3, HashFunction.BLAKE3),
        (False, None),
        (None, None),
    ],
)
def test_a_hash_is_given_by_its_name_or_as_a_switch(given: object, function: HashFunction | None) -> None:
    """True is the default function, False and None are none."""
    assert settings_with(RunSettings(), {"hashing": given}).hashing is function


def test_two_bandwidths_are_one_too_many() -> None:
    """It is not guessed which one is meant."""
    with pytest.raises(UsageError, match="twice"):
        settings_with(RunSettings(), {"bandwidth": Timetable.always(1), "bandwidth_bytes_per_s": 2})


def test_an_unknown_keyword_is_a_type_error() -> None:
    """As for any Python function, with the name that was probably meant."""
    with pytest.raises(TypeError, match=r"'concurency'.*concurrency"):
        settings_with(RunSettings(), {"concurency": 4})
