"""Every kind of fault, and how an entry that meets it must end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from bulk_upload.exit_status import ExitStatus
from tests.hazards.fault_answers import malformed, odd
from tests.hazards.fault_dialects import FLOW_DIALECT, Dialect
from tests.hazards.fault_lists import lists
from tests.hazards.fault_scenes import (
    AnswerCall,
    Play,
    answers,
    breaks,
    closes_idle,
    drips,
    early_success,
    falls_silent,
    good,
    http_date,
    ignores,
    never_invites,
    points_elsewhere,
    reads_slowly,
    stops_reading,
    stores,
    tells,
)
from tests.hazards.fault_server import ALWAYS, FaultServer
from tests.hazards.fault_wire import answer

EXITS = {
    "accepted": {ExitStatus.DONE},
    "rejected": {ExitStatus.SOME_FAILED},
    "in_doubt": {ExitStatus.IN_DOUBT},
    "pending": {ExitStatus.UNFINISHED},
}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of fault and its expected end.

    Args:
        play, strikes, everyone, answer_call, list_lag_s, refuses_s: as for `FaultServer`.
        state: how the victim may stand after the first run: one of these.
        large: the same for a file that does not fit into the system's buffers, where that makes a difference.
        final: how it may stand after a run without faults.
        exits: the exit codes that the first run may have, where those of `state` do not say.
        puts_max: how many requests the victim may take in the first run.
        copies: how many files of the victim the server may have in the end: 1, or more where docs/explanation/hazards.md says so.
        asks_first: the server is asked for its list before the victim is sent again or counts as accepted.
        one_at_a_time: uploads go one by one, the victim first.
        victim_last: uploads go one by one, the victim last.
        lies: the server reports success for a file that it does not keep.
        jitter: what the client draws in place of chance.
        slow: takes so long that only the long matrix has it.
        strangers: how many files others have put there before.
        bystanders: how the other entries may stand in the end.
    """

    family: str
    play: Play | None = None
    strikes: int | None = 1
    everyone: bool = False
    answer_call: AnswerCall | None = None
    list_lag_s: float = 0.0
    refuses_s: float = 0.0
    state: tuple[str, ...] = ("accepted",)
    large: tuple[str, ...] | None = None
    final: tuple[str, ...] = ("accepted",)
    exits: frozenset[ExitStatus] | None = None
    puts_max: int = 1
    copies: int = 1
    asks_first: bool = False
    one_at_a_time: bool = False
    victim_last: bool = False
    jitter: float = 0.0
    slow: bool = False
    strangers: int = 0
    bystanders: tuple[str, ...] = ("accepted",)
    patience_s: float = 2.5

    def server(self, name: str, dialect: Dialect = FLOW_DIALECT) -> FaultServer:
        """Return a server with this fault."""
        server = FaultServer(
            name,
            play=self.play,
            strikes=self.strikes,
            everyone=self.everyone,
            answer_call=self.answer_call,
            list_lag_s=self.list_lag_s,
            refuses_s=self.refuses_s,
        )
        server.dialect = dialect
        server.add_strangers(self.strangers)
        return server

    def states(self, *, large: bool) -> tuple[str, ...]:
        """Return how the victim may stand after the first run."""
        return self.large if large and self.large is not None else self.state

    def exit_codes(self, *, large: bool) -> set[ExitStatus]:
        """Return how the first run may end."""
        if self.exits is not None:
            return set(self.exits)
        return set().union(*(EXITS[state] for state in self.states(large=large)))


KINDS: dict[str, Kind] = {}


def kinds(family: str, **common: Any) -> Callable[[Callable[[], Iterator[tuple[str, dict[str, Any]]]]], None]:
    """Put what a function yields, names with the arguments of `Kind`, into the table."""

    def put(of: Callable[[], Iterator[tuple[str, dict[str, Any]]]]) -> None:
        for name, special in of():
            assert name not in KINDS, name
            KINDS[name] = Kind(family=family, **{**common, **special})

    return put


_EARLY = {
    "413": (answer(413, b'{"detail": "too large"}'), "rejected", {ExitStatus.SOME_FAILED}),
    "429": (answer(429, b"", {"Retry-After": "0"}), "accepted", {ExitStatus.DONE}),
    "401": (answer(401, b"{}"), "pending", {ExitStatus.CREDENTIALS_REFUSED}),
    "503": (answer(503, b""), "accepted", {ExitStatus.DONE}),
}


@kinds("early")
def _early() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, (said, state, exits) in _EARLY.items():
        always = name in ("413", "401")
        common: dict[str, Any] = {"strikes": ALWAYS if always else 1, "puts_max": 2}
        clear: dict[str, Any] = {
            "state": (state,),
            "final": (state if state == "rejected" else "accepted",),
            "exits": exits,
        }
        yield f"early_{name}_linger", {"play": tells(said, linger=True), **common, **clear}
        # A close with the body unread is a reset, and it may hide the answer: then the next request asks first.
        yield f"early_{name}_close", {"play": tells(said, linger=False), **common, **clear, "puts_max": 3}
    yield "early_200", {"play": early_success, "puts_max": 2}
    yield (
        "early_307",
        {
            "play": tells(points_elsewhere(307), linger=True),
            "state": ("pending",),
            "one_at_a_time": True,
        },
    )
    yield "never_invites", {"play": never_invites}


@kinds("lost")
def _lost() -> Iterator[tuple[str, dict[str, Any]]]:
    adopted = {"asks_first": True}
    again = {"puts_max": 2}
    half = b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"id": "file-'
    yield "stored_close", {"play": stores(b"", then="close"), **adopted}
    yield "stored_reset", {"play": stores(b"", then="reset"), **adopted}
    yield "stored_half_a_head", {"play": stores(b"HTTP/1.1 200 OK\r\nContent-Le", then="close"), **adopted}
    yield "stored_half_a_body", {"play": stores(half, then="close"), **adopted}
    yield "stored_half_a_body_reset", {"play": stores(half, then="reset"), **adopted}
    yield "lost_close", {"play": answers(b"", then="close"), "asks_first": True, **again}
    yield "lost_reset", {"play": answers(b"", then="reset"), "asks_first": True, **again}
    yield "reset_at_the_head", {"play": breaks(0, then="reset"), **again}
    yield "close_at_the_head", {"play": breaks(0, then="close"), **again}
    yield "reset_in_mid_body", {"play": breaks(0.5, then="reset"), **again}
    yield "close_in_mid_body", {"play": breaks(0.5, then="close"), **again}
    yield "reset_before_the_last_byte", {"play": breaks(0.999, then="reset"), **again}
    yield (
        "stored_reset_twice_over",
        {"play": stores(b"", then="reset"), "strikes": 2, "asks_first": True},
    )
    yield (
        "lost_reset_always",
        {"play": answers(b"", then="reset"), "strikes": ALWAYS, "state": ("pending",), "puts_max": 4},
    )
    yield (
        "reset_in_mid_body_always",
        {"play": breaks(0.5, then="reset"), "strikes": ALWAYS, "state": ("pending",), "puts_max": 4},
    )
    yield "refused_for_a_while", {"refuses_s": 0.6, "jitter": 0.9, "puts_max": 1}
    yield "closes_idle_connections", {"play": closes_idle, "everyone": True, "strikes": ALWAYS, "puts_max": 4}


@kinds("stalled")
def _stalled() -> Iterator[tuple[str, dict[str, Any]]]:
    # A form that fits into the system's buffers has left as far as anybody can tell: in doubt, and asked for.
    yield "never_reads", {"play": ignores, "puts_max": 2}
    yield (
        "never_reads_always",
        {"play": ignores, "strikes": ALWAYS, "state": ("pending",), "puts_max": 4, "slow": True},
    )
    yield "stops_reading", {"play": stops_reading, "puts_max": 2}
    yield "reads_slowly", {"play": reads_slowly}
    yield "silent_stored", {"play": falls_silent(stores_it=True), "asks_first": True}
    yield "silent_lost", {"play": falls_silent(stores_it=False), "asks_first": True, "puts_max": 2}
    yield "drips_head", {"play": drips(good), "asks_first": True}
    yield (
        "drips_body",
        {
            "play": drips(
                lambda response: b" " * 900, whole=b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"
            ),
            "asks_first": True,
        },
    )
    yield "answers_a_little_late", {"play": drips(good, pause_s=0.002)}


kinds("malformed", asks_first=True)(malformed)
kinds("odd")(odd)


@kinds("statuses")
def _statuses() -> Iterator[tuple[str, dict[str, Any]]]:
    hostile = b'{"detail": "\\u001b[2J=cmd()<script>\\u202e"}'
    for status in (400, 402, 404, 405, 406, 409, 410, 411, 413, 414, 415, 417, 418, 422, 428, 431, 451):
        play = answers(answer(status, hostile, phrase="\x1b[31mNo"))
        yield f"status_{status}", {"play": play, "state": ("rejected",), "final": ("rejected",)}
    refused = {"state": ("pending",), "exits": {ExitStatus.CREDENTIALS_REFUSED}, "one_at_a_time": True}
    yield "status_401", {"play": answers(answer(401, b"{}")), **refused}
    yield "status_403_first", {"play": answers(answer(403, b"{}")), **refused}
    lone = {"state": ("rejected",), "final": ("rejected",), "victim_last": True}
    yield "status_403_after_successes", {"play": answers(answer(403, b"{}")), **lone}
    for status in (408, 425, 500, 502, 503, 504, 507, 520, 599):
        yield f"status_{status}", {"play": answers(answer(status)), "asks_first": True, "puts_max": 2}
        yield f"status_{status}_stored", {"play": stores(answer(status)), "asks_first": True}
    yield (
        "status_500_always",
        {"play": answers(answer(500)), "strikes": ALWAYS, "state": ("pending",), "puts_max": 4},
    )
    yield "status_502_page", {"play": answers(answer(502, b"<html>" + b"x" * 200_000)), "puts_max": 2}


_WAITS = {
    "0": "0",
    "1": "1",
    "half": "0.5",
    "past_date": "Wed, 21 Oct 2015 07:28:00 GMT",
    "1e400": "1e400",
    "nan": "NaN",
    "infinity": "Infinity",
    "arabic_digits": "\u0661\u0662",
    "negative": "-5",
    "plus": "+1",
    "underscore": "1_0",
    "hexadecimal": "0x1",
    "empty": "",
    "words": "soon",
    "two": "1, 2",
    "impossible_date": "Thu, 99 Zzz 9999 99:99:99 GMT",
    "year_ten_thousand": "Fri, 31 Dec 10000 23:59:59 GMT",
}


@kinds("waits", puts_max=2)
def _waits() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, text in _WAITS.items():
        yield f"retry_after_{name}", {"play": answers(answer(429, b"", {"Retry-After": text}))}
    yield "retry_after_date", {"play": answers(lambda _: answer(429, b"", {"Retry-After": http_date(2)}))}
    yield (
        "retry_after_twice",
        {"play": answers(b"HTTP/1.1 429 X\r\nContent-Length: 0\r\nRetry-After: 1\r\nRetry-After: 0\r\n\r\n")},
    )
    yield "retry_after_ms", {"play": answers(answer(429, b"", {"Retry-After-Ms": "300"}))}
    too_long = {"state": ("pending",), "puts_max": 1, "one_at_a_time": True}
    yield "retry_after_huge", {"play": answers(answer(429, b"", {"Retry-After": "9" * 14})), **too_long}
    yield "retry_after_of_400_digits", {"play": answers(answer(429, b"", {"Retry-After": "9" * 400}))}
    far = "Fri, 31 Dec 9999 23:59:59 GMT"
    yield "retry_after_far_date", {"play": answers(answer(429, b"", {"Retry-After": far})), **too_long}
    yield "no_retry_after", {"play": answers(answer(429))}
    yield "status_503_with_a_wait", {"play": answers(answer(503, b"", {"Retry-After": "1"}))}
    yield (
        "status_503_with_nan",
        {"play": answers(answer(503, b"", {"Retry-After": "NaN"})), "asks_first": True},
    )
    yield (
        "status_429_always",
        {"play": answers(answer(429)), "strikes": ALWAYS, "state": ("pending",), "puts_max": 9},
    )
    # By convention these two say "not taken"; a server that stores the file and says so gets a copy.
    copied = {"copies": 2}
    yield "status_429_stored", {"play": stores(answer(429, b"", {"Retry-After": "0"})), **copied}
    yield "status_503_with_a_wait_stored", {"play": stores(answer(503, b"", {"Retry-After": "0"})), **copied}


@kinds("redirects", state=("pending",), one_at_a_time=True)
def _redirects() -> Iterator[tuple[str, dict[str, Any]]]:
    for status in (300, 301, 302, 303, 304, 305, 307, 308):
        yield f"status_{status}", {"play": answers(points_elsewhere(status))}

    def odd(location: Callable[[FaultServer], str]) -> Play:
        return answers(lambda server: answer(307, b"", {"Location": location(server)}))

    yield "redirect_without_a_scheme", {"play": odd(lambda server: server.elsewhere.removeprefix("http:"))}
    yield "redirect_to_another_path", {"play": odd(lambda _: "/v2/flow/files")}
    yield "redirect_with_a_password", {"play": odd(lambda s: s.elsewhere.replace("//", "//me:secret@"))}
    yield "redirect_nowhere", {"play": odd(lambda _: "")}
    yield "redirect_to_garbage", {"play": odd(lambda _: "http://[::1/\x1b[2J\u202e")}
    yield "redirect_to_a_file", {"play": odd(lambda _: "file:///etc/passwd")}


kinds("lists", play=stores(b"", then="reset"), asks_first=True)(lists)

FAMILIES = tuple(dict.fromkeys(kind.family for kind in KINDS.values()))
"""The families in the order of this page."""


_UNCLEAR = ("early", "lost", "stalled")
"""Families whose small forms may have left whole, with no answer that says what became of them."""


def kind_in(dialect: Dialect, name: str, kind: Kind) -> Kind:
    """Return a kind with the ends it has in a dialect."""
    if name == "status_409" and dialect.profile.conflict == "retry":
        return replace(kind, state=("accepted",), final=("accepted",), puts_max=2)
    has_no_clear_answer = (
        kind.asks_first
        or kind.family in _UNCLEAR
        or name.startswith("status_50")
        # Nothing but a look-up, which such a profile does not have, shows that the answer was wrong.
        or (name == "other_purpose" and not dialect.profile.can_list)
    )
    if dialect.profile.list_decides or not has_no_clear_answer:
        return kind
    # Where no list can tell, what has no clear answer is left to a person.
    return replace(
        kind,
        state=(*kind.state, "in_doubt"),
        large=None if kind.large is None else (*kind.large, "in_doubt"),
        final=(*kind.final, "in_doubt"),
        exits=None if kind.exits is None else kind.exits | {ExitStatus.IN_DOUBT},
        asks_first=False,
        # An id that came with two answers proves neither.
        bystanders=(*kind.bystanders, "in_doubt") if name == "foreign_id" else kind.bystanders,
    )


def kinds_in(dialect: Dialect) -> list[str]:
    """Return the names of the kinds that a dialect can have: Unix times have no zones."""
    return [name for name in KINDS if name != "list_without_zones" or not dialect.unix_times]
