"""A page in a browser, and what a person sees of it."""

from __future__ import annotations

import re
from typing import Any

COLOURS_OF_TEXT = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const over = (top, below) => top.slice(0, 3).map((one, at) => one * (top[3] ?? 1) + below[at] * (1 - (top[3] ?? 1)));
  const found = new Map();
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((one) => one.nodeType === 3 && one.data.trim());
    const box = element.getBoundingClientRect();
    if (!own || !box.width || !box.height || element.closest("title, script, style, noscript")) continue;
    let ground = null;
    for (let one = element; one && !ground; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if ((colour[3] ?? 1) === 1) ground = colour;
    }
    const style = getComputedStyle(element);
    const text = parse(element.namespaceURI.endsWith("svg") ? style.fill : style.color);
    found.set(`${over(text, ground)} on ${ground.slice(0, 3)}`, element.outerHTML.slice(0, 80));
  }
  return [...found];
}"""
"""Returns each pair of colours of text and its ground that is on a page, with an element that has it."""


class Watched:
    """A page with everything that it complained about and asked for."""

    def __init__(self, browser: Any, **context: Any) -> None:
        self.page = browser.new_context(**context).new_page()
        self.page.set_default_timeout(60_000)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda one: self.complaints.append(one.text))
        self.page.on("pageerror", lambda one: self.complaints.append(str(one)))
        self.page.on("dialog", lambda one: self.complaints.append(one.message))
        self.page.on("request", lambda one: self.requests.append(one.url))

    def waits_for(self, selector: str, text: str | re.Pattern[str]) -> None:
        """Wait until an element has a text, or one that a pattern is found in.

        Not by a function that the page runs again and again: its content security policy forbids that.
        """
        from playwright.sync_api import expect  # noqa: PLC0415 - an extra

        expect(self.page.locator(selector)).to_have_text(text, timeout=60_000)


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Return the contrast ratio of two colours, each of red, green and blue up to 255 (WCAG 2.2, relative luminance)."""

    def light(colour: tuple[float, ...]) -> float:
        parts = [value / 255 for value in colour]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def unreadable(pairs: list[list[str]]) -> list[tuple[float, str]]:
    """Return the pairs of `COLOURS_OF_TEXT` below 4.5 to 1, with the element that has them."""
    found = []
    for colours, element in pairs:
        text, ground = (
            tuple(float(one) for one in part.split(",")) for part in colours.split(" on ", maxsplit=1)
        )
        if (ratio := contrast(text, ground)) < 4.5:
            found.append((round(ratio, 2), element))
    return found
