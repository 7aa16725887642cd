from __future__ import annotations

from collections import Counter

import pytest

from bulk_upload.errors import UsageError
from bulk_upload.sandbox.objects import (
    EtagKind,
    ObjectFaultKind,
    ObjectFaults,
    RequestKind,
    parse_object_faults,
    parse_object_step,
)
from bulk_upload.sandbox.objects.chooser import ObjectFaultChooser
from bulk_upload.sandbox.objects.fault_text import OBJECT_PRESETS


def drawn(chooser: ObjectFaultChooser, path: str, request: RequestKind = RequestKind.GET) -> str:
    return str(chooser.draw(request, path))


def test_a_text_has_every_part() -> None:
    """Aimed steps, a script, chances and settings stand beside each other in one text."""
    faults = parse_object_faults(
        "503:1*2 drop-mid:0.25@/data/*.jsonl,list-500@5%,etag=weak,versions=yes,page=7"
    )
    assert [str(step) for step in faults.script] == ["503:1", "503:1"]
    assert [(one.pattern, str(one.steps[0])) for one in faults.aimed] == [("/data/*.jsonl", "drop-mid:0.25")]
    assert [(str(one.step), one.probability) for one in faults.chances] == [("list-500", 0.05)]
    assert (faults.etag, faults.versions, faults.page_max) == (EtagKind.WEAK, True, 7)
    assert parse_object_faults("") == ObjectFaults()


@pytest.mark.parametrize("kind", [one for one in ObjectFaultKind if one is not ObjectFaultKind.STATUS])
def test_every_kind_has_its_word(kind: ObjectFaultKind) -> None:
    """A step's text is what it is read from."""
    assert str(parse_object_step(kind)) == kind


@pytest.mark.parametrize("preset", OBJECT_PRESETS)
def test_presets_end(preset: str) -> None:
    """Every preset is a valid mixture with a budget per object."""
    assert parse_object_faults(preset).fault_budget


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "status",
        "200",
        "drop-mid:1",
        "drop-mid:x",
        "replace:2",
        "slow:0",
        "head-cut",
        "list-replace",
        "etag=odd",
        "versions=maybe",
        "page=0",
        "colour=red",
        "cut@x",
        "cut@60%,500@60%",
        "503:1*999999",
    ],
)
def test_what_means_nothing_is_refused(text: str) -> None:
    """An item that cannot be is named, with a way out."""
    with pytest.raises(UsageError, match="sandbox") as caught:
        parse_object_faults(text)
    assert caught.value.hint


def test_the_order_of_faults() -> None:
    """Aimed steps come first, then the script of the request's kind, then chances."""
    chooser = ObjectFaultChooser(parse_object_faults("503,head-403,cut*2@/b/a*,500@100%"))
    assert [drawn(chooser, "/b/a1") for _ in range(3)] == ["cut", "cut", "503"]
    assert drawn(chooser, "/b/x", RequestKind.HEAD) == "head-403"
    assert drawn(chooser, "/b/a2") == "cut"
    assert drawn(chooser, "/b/x") == "500"
    assert drawn(chooser, "/b/x", RequestKind.LIST) == "ok"


def test_a_budget_ends_a_storm() -> None:
    """With a budget no object meets more chances than that, and the same seed gives the same storm."""
    faults = parse_object_faults("storm,seed=3")
    runs = []
    for _ in range(2):
        chooser = ObjectFaultChooser(faults)
        runs.append([(path, drawn(chooser, path)) for _ in range(100) for path in ("/b/1", "/b/2")])
    assert runs[0] == runs[1]
    met = Counter(path for path, step in runs[0] if step != "ok")
    assert met == {"/b/1": 2, "/b/2": 2}
