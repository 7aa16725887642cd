"""Kinds of answers to an upload: malformed ones, and odd ones that are right."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from typing import Any

from tests.hazards.fault_scenes import (
    HEAD,
    altered,
    body,
    chunked,
    foreign_id,
    good,
    pours,
    raw,
    refreshes,
    sized,
    stores,
)
from tests.hazards.fault_server import ALWAYS
from tests.hazards.fault_wire import answer

_MALFORMED: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "garbage_status_line": lambda _: b"\x00\x01 this is not HTTP\r\n\r\n",
    "no_head_at_all": raw(lambda good: good),
    "status_that_is_no_number": lambda _: b"HTTP/1.1 abc OK\r\n\r\n",
    "other_protocol_version": raw(lambda good: b"HTTP/9.9" + sized(good)[8:]),
    "bad_chunk": raw(lambda good: chunked(b"ZZ\r\n" + good)),
    "negative_chunk": raw(lambda good: chunked(b"-5\r\n" + good)),
    "huge_chunk": raw(lambda good: chunked(b"FFFFFFFFFFFFFFFFF\r\n" + good)),
    "missing_last_chunk": raw(lambda good: chunked(b"%x\r\n%s\r\n" % (len(good), good))),
    "two_lengths": raw(lambda good: HEAD + b"Content-Length: 5\r\nContent-Length: 50\r\n\r\n" + good),
    "length_and_chunks": lambda _: HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "negative_length": raw(lambda good: sized(good, -1)),
    "length_in_words": raw(lambda good: sized(good, "many")),
    "length_too_long": raw(lambda good: sized(good, len(good) + 9)),
    "length_too_short": raw(lambda good: sized(good, 9)),
    "huge_header": raw(lambda good: HEAD + b"X-Long: " + b"x" * 200_000 + b"\r\n\r\n" + good),
    "many_headers": raw(
        lambda good: HEAD + b"".join(b"X-%d: y\r\n" % one for one in range(3000)) + b"\r\n" + good
    ),
    "header_with_nul": raw(lambda good: HEAD + b"X-Bad: a\x00b\r\n\r\n" + good),
    "header_without_colon": raw(lambda good: HEAD + b"what is this\r\n\r\n" + good),
    "odd_cookies": raw(lambda good: HEAD + b'Set-Cookie: a="; =;; expires=x\r\n\r\n' + good[:9]),
    "only_informational": lambda _: b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3,
    "status_101": lambda _: b"HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "status_199": body(lambda good: good, 199),
    "status_204": lambda _: answer(204),
    "status_205": lambda _: answer(205),
    "status_999": body(lambda good: good, 999),
    "status_000": body(lambda good: good, 0),
    "html_with_200": lambda _: answer(
        200, b"<html><body>Welcome</body></html>", {"Content-Type": "text/html"}
    ),
    "empty_with_200": lambda _: answer(200),
    "gzip_bomb": lambda _: answer(200, gzip.compress(b" " * 30_000_000), {"Content-Encoding": "gzip"}),
    "compressed": body(gzip.compress, Content_Encoding="gzip"),
    "claims_to_be_compressed": body(lambda good: good[:-1], Content_Encoding="br"),
    "deep_lists": lambda _: answer(200, b"[" * 30_000),
    "deep_objects": lambda _: answer(200, b'{"id":' * 9_000),
    "json_null": lambda _: answer(200, b"null"),
    "json_list": body(lambda good: b"[" + good + b"]"),
    "json_twice": body(lambda good: good + good),
    "json_cut": body(lambda good: good[:-1]),
    "json_with_bom": body(lambda good: b"\xef\xbb\xbf" + good),
    "json_in_utf_16": body(lambda good: good.decode().encode("utf-16")),
    "json_that_is_not_utf_8": lambda _: answer(200, b'{"id": "\xff"}'),
    "json_too_long": body(lambda good: good + b" " * 100_000),
    "no_id": lambda _: answer(200, {"object": "file"}),
    "id_null": altered(id=None),
    "id_list": altered(id=["file-1"]),
    "id_empty": altered(id=""),
    "id_that_steers": altered(id="../../v1/flow/teams"),
    "id_escaped": altered(id="%2e%2e%2fx"),
    "id_of_dots": altered(id=".."),
    "id_with_a_line_break": altered(id="file-1\nfile-2"),
    "id_of_ten_thousand": altered(id="x" * 10_000),
    "id_with_an_override": altered(id="file-\u202e1"),
    "size_that_differs": altered(bytes=3),
}


def malformed() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield answers that are none, or that no client may believe, though the file is stored."""
    for name, say in _MALFORMED.items():
        yield name, {"play": stores(say, then="close")}
    # Before any other answer it ends the run.
    yield "id_number", {"play": stores(altered(id=7), then="close"), "state": ("in_doubt", "accepted")}
    yield (
        "endless_body",
        {"play": pours(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"3e8\r\n" + b"x" * 1000 + b"\r\n")},
    )
    yield "endless_head", {"play": pours(HEAD, b"X-More: y\r\n" * 100)}
    yield "endless_header", {"play": pours(HEAD + b"X-Long: ", b"x" * 1000)}
    yield "endless_hints", {"play": pours(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100), "slow": True}
    yield "foreign_id", {"play": foreign_id, "victim_last": True}


def odd() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield answers that look odd and are right."""
    for status in (201, 202, 226, 299):
        yield f"status_{status}", {"play": stores(body(lambda good: good, status))}
    yield "id_alone", {"play": stores(lambda response: answer(200, {"id": response["id"]}))}
    yield "other_filename", {"play": stores(altered(filename="\x1b[31m=HYPERLINK()\u202e"))}
    yield "other_purpose", {"play": stores(altered(purpose="<script>"))}
    yield (
        "fields_of_wrong_types",
        {"play": stores(altered(filename=7, purpose=[], created_at={}, bytes="many"))},
    )
    yield "many_continues", {"play": stores(lambda r: b"HTTP/1.1 100 Continue\r\n\r\n" * 50 + good(r))}
    yield (
        "early_hints_first",
        {"play": stores(lambda r: b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + good(r))},
    )
    yield "no_length_but_a_close", {"play": stores(raw(lambda good: HEAD + b"\r\n" + good), then="close")}
    yield (
        "chunks_with_a_trailer",
        {
            "play": stores(
                raw(lambda good: chunked(b"%x;x=y\r\n%s\r\n0\r\nX-Evil: 1\r\n\r\n" % (len(good), good)))
            )
        },
    )
    yield (
        "bare_line_feeds",
        {"play": stores(raw(lambda good: sized(good).replace(b"\r\n", b"\n")), then="close")},
    )
    yield (
        "folded_header",
        {"play": stores(raw(lambda good: HEAD + b"X: a\r\n b\r\n\r\n" + good), then="close")},
    )
    yield "refresh_elsewhere", {"play": refreshes}
    evil = answer(200, {"id": "file-evil", "object": "file"})
    yield (
        "a_second_answer",
        {"play": stores(lambda response: good(response) + evil), "one_at_a_time": True, "strikes": ALWAYS},
    )
    yield (
        "a_408_after_the_answer",
        {
            "play": stores(lambda response: good(response) + answer(408), then="close"),
            "one_at_a_time": True,
            "strikes": ALWAYS,
        },
    )
