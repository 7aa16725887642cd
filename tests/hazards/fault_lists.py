"""Kinds of lists: what a server may show of its files after an answer was lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.hazards.fault_scenes import (
    after_many_strangers,
    drips_a_list,
    good,
    hangs_up,
    keeps_silent,
    listing,
    oldest_first,
    on_list,
    on_look_up,
    points_elsewhere,
    stores_less,
    strangers,
    with_nonsense,
    with_twin,
)
from tests.hazards.fault_wire import answer


def lists() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what the list may say after an answer was lost."""
    doubtful = {"state": ("in_doubt",)}
    page = b'{"object": "list", "data": ['
    yield "list_sound", {}
    yield "list_lags", {"list_lag_s": 0.3}
    yield "list_lags_beyond_settle", {"list_lag_s": 3.0, "puts_max": 2, "copies": 2}
    yield "list_fails_once", {"answer_call": on_list(answer(500), times=1)}
    yield "list_throttled_once", {"answer_call": on_list(answer(429, b"", {"Retry-After": "1"}), times=1)}
    for status in (400, 401, 403, 404, 429, 500, 502, 503):
        yield f"list_{status}", {"answer_call": on_list(answer(status)), **doubtful}
    yield "list_html", {"answer_call": on_list(answer(200, b"<html></html>")), **doubtful}
    yield "list_empty_body", {"answer_call": on_list(answer(200)), **doubtful}
    yield "list_is_an_object", {"answer_call": on_list(answer(200, b'{"data": {}}')), **doubtful}
    yield "list_garbage", {"answer_call": on_list(b"\x00\x01\r\n\r\n"), **doubtful}
    yield "list_cut", {"answer_call": on_list(answer(200, page)), **doubtful}
    yield "list_deep", {"answer_call": on_list(answer(200, page + b"[" * 50_000)), **doubtful}
    yield "list_too_long", {"answer_call": on_list(answer(200, page + b" " * 5_000_000)), **doubtful}
    yield "list_hangs_up", {"answer_call": hangs_up, **doubtful}
    yield "list_silent", {"answer_call": keeps_silent, "slow": True, **doubtful}
    yield "list_drips", {"answer_call": drips_a_list, "slow": True, **doubtful}
    yield (
        "list_redirects",
        {
            "answer_call": on_list(lambda server, _limit, _offset: points_elsewhere(302)(server)),
            **doubtful,
        },
    )
    yield (
        "list_repeats_a_page",
        {"answer_call": on_list(lambda _s, limit, _o: strangers(0, limit)), **doubtful},
    )
    yield (
        "list_without_end",
        {
            "answer_call": on_list(lambda _s, limit, offset: strangers(offset, limit)),
            "slow": True,
            **doubtful,
        },
    )
    yield "list_of_many_pages", {"strangers": 0, "answer_call": after_many_strangers}
    yield "list_oldest_first", {"strangers": 20, "answer_call": on_list(oldest_first)}
    yield "list_without_names", {"answer_call": listing(lambda one: one | {"filename": None}), **doubtful}
    yield "list_without_sizes", {"answer_call": listing(lambda one: one | {"bytes": None}), **doubtful}
    yield "list_without_times", {"answer_call": listing(lambda one: one | {"created_at": None}), **doubtful}
    yield (
        "list_from_the_future",
        {"answer_call": listing(lambda one: one | {"created_at": "2999-01-01T00:00:00Z"}), **doubtful},
    )
    yield (
        "list_without_zones",
        {"answer_call": listing(lambda one: one | {"created_at": str(one["created_at"]).removesuffix("Z")})},
    )
    yield "list_with_nonsense", {"answer_call": on_list(with_nonsense)}
    yield (
        "list_with_a_twin",
        {"answer_call": with_twin, "state": ("in_doubt",), "final": ("in_doubt",)},
    )
    yield "look_up_404", {"answer_call": on_look_up(answer(404)), **doubtful}
    yield "look_up_500", {"answer_call": on_look_up(answer(500)), **doubtful}
    yield "look_up_html", {"answer_call": on_look_up(answer(200, b"<html>")), **doubtful}
    yield (
        "look_up_differs",
        {
            "answer_call": on_look_up(lambda server, file_id: good(server.stored[file_id].response(bytes=1))),
            **doubtful,
        },
    )
    yield (
        "look_up_of_another",
        {
            "answer_call": on_look_up(
                lambda server, file_id: good(server.stored[file_id].response(id="file-x"))
            ),
            **doubtful,
        },
    )
    wrong = {"play": stores_less, "state": ("in_doubt",), "final": ("in_doubt",)}
    yield "stored_with_bytes_missing", wrong
