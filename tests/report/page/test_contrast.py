"""The colours of both pages, by their style sheets alone: whatever is shown can be read."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

from tests.report.page.pages import contrast

FOLDER = Path(__file__).parents[3] / "bulk_upload/report/page"
STYLE = (FOLDER / "style.css").read_text("utf-8")
RULES = STYLE + (FOLDER / "live.css").read_text("utf-8")
GROUNDS = ("paper", "raised", "faint")


def _colours(scheme: str) -> dict[str, tuple[float, ...]]:
    light, dark = STYLE.split("@media (prefers-color-scheme: dark)")[:2]
    part = light if scheme == "light" else dark.split("\n}")[0]
    return {
        name: tuple(float(int(value[at : at + 2], 16)) for at in (0, 2, 4))
        for name, value in re.findall(r"--([a-z0-9-]+): #([0-9a-f]{6})\b", part)
    }


def _used(properties: str) -> set[str]:
    return set(re.findall(rf"(?<![a-z-])(?:{properties}): [^;}}]*var\(--([a-z0-9-]+)\)", RULES))


TEXTS = _used("color") - {"paper"}
SHAPES = _used("fill|stroke|border|border-top|background") - {*GROUNDS, "ink", "line", "area"}
"""Lines between rows, the rail of a bar and the area under a line only accompany what says it."""


def test_every_colour_of_text_is_known() -> None:
    """A rule that colours text in another one is found here, and its contrast is tested."""
    assert {"ink", "soft", "accent", "accepted", "failed", "limit"} == TEXTS
    assert {"edge", "accent", "accepted", "pending", "in-doubt", "failed", "throttled"} <= SHAPES


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_every_ground(scheme: str) -> None:
    """4.5 to 1 (WCAG 2.2, 1.4.3), also where a chosen button turns the two round."""
    colours = _colours(scheme)
    for text, ground in [*product(sorted(TEXTS), GROUNDS), ("paper", "ink")]:
        ratio = contrast(colours[text], colours[ground])
        assert ratio >= 4.5, f"{text} on {ground}: {ratio:.2f}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_shapes_and_the_edges_of_controls_stand_out(scheme: str) -> None:
    """3 to 1 (WCAG 2.2, 1.4.11), the focus ring too: it has the accent."""
    colours = _colours(scheme)
    for shape, ground in product(sorted(SHAPES), ("paper", "raised")):
        ratio = contrast(colours[shape], colours[ground])
        assert ratio >= 3, f"{shape} on {ground}: {ratio:.2f}"
