"""Measures the live page of a run of 100,000 entries in Chromium: frames, long tasks, and the bytes that it gets.

    pip install '.[browser]' && python benchmarks/live_page.py [--seconds 20] [--states-per-s 1]

The page gets as many uploads, failures and points as it ever has, all of them new with each state. A task of more than
50 ms is a long one: that long a click waits. Sends nothing beyond 127.0.0.1.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time

from measuring.tables import table
from workloads.live_states import ENTRY_COUNT, served, state

OBSERVE = """() => {
  window.seen = { frames: [], long: [] };
  new PerformanceObserver((list) => list.getEntries().forEach((one) => seen.long.push(one.duration))).observe({ type: "longtask" });
  let before = performance.now();
  const frame = (now) => { seen.frames.push(now - before); before = now; requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
}"""


def main() -> None:
    """Measure, and print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--states-per-s", type=float, default=1.0, help="a run publishes one a second")
    options = parser.parse_args()
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - an extra
    except ImportError:
        raise SystemExit("needs the extra `browser`: pip install '.[browser]'") from None
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        raise SystemExit("there is no chromium on this machine")
    sizes = []
    with served([]) as (where, publish), sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        publish(json.dumps(state()).encode())
        page.goto(where)
        page.wait_for_selector("#uploads tbody tr")
        page.evaluate(OBSERVE)
        for number in range(1, max(2, round(options.seconds * options.states_per_s))):
            sizes.append(len(one := json.dumps(state(40_000 + number)).encode()))
            publish(one)
            time.sleep(1 / options.states_per_s)
        seen = page.evaluate("seen")
        elements = page.evaluate("document.querySelectorAll('*').length")
        browser.close()
    frames = sorted(seen["frames"])
    rows = [
        ["entries", "states", "bytes each", "elements", "frames", "longest frame ms", "99 % within ms", "long tasks"],
        [
            f"{ENTRY_COUNT:,}", f"{len(sizes):,}", f"{max(sizes):,}", f"{elements:,}", f"{len(frames):,}",
            f"{frames[-1]:.0f}", f"{frames[int(len(frames) * 0.99)]:.0f}",
            f"{len(seen['long'])}, {max(seen['long'], default=0):.0f} ms at most",
        ],
    ]  # fmt: skip
    print(table(rows))


if __name__ == "__main__":
    main()
