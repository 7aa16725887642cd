"""The live page: the report's design, filled by its script with what the server sends."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources

CHARTS = (
    ("rate", "Bytes sent per second"),
    ("files", "Files settled per second"),
    ("flight", "Attempts in flight"),
)
"""The id and the title of each chart, in the order of the numbers in a point."""


def live_page() -> tuple[bytes, str]:
    """Return the page and its content security policy: its own style and script, its own server, nothing else."""
    style = _resource("style.css") + _resource("live.css")
    script = _resource("live.js")
    grid = "".join(f'<line class="grid" x1="0" x2="600" y1="{y}" y2="{y}"/>' for y in (0, 50, 100))
    charts = "".join(
        f'<figure><figcaption><h3 id="{name}-title">{title}</h3><p id="{name}-summary"></p></figcaption>'
        f'<div class="plot"><div class="scale" id="{name}-scale" aria-hidden="true"></div>'
        f'<svg class="chart" id="{name}" width="100%" height="110" viewBox="0 0 600 100" preserveAspectRatio="none" '
        f'role="img" aria-labelledby="{name}-title {name}-summary">{grid}<path class="area"/><path class="line"/></svg>'
        f'<div class="times" id="{name}-time" aria-hidden="true"></div></div></figure>\n'
        for name, title in CHARTS
    )
    text = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Upload</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<header>
<p class="eyebrow" id="ledger"></p>
<h1 id="headline">Connecting</h1>
<p class="lead" id="why"></p>
<p class="said" id="said" role="status"></p>
<div class="bars" id="bars"></div>
<ul class="legend" id="legend"></ul>
<dl class="numbers" id="numbers"></dl>
<noscript><p class="note">This page needs JavaScript.</p></noscript>
</header>
<main>
<section id="control" hidden><h2>Change the run</h2>
<form id="changes">
<button type="button" id="pause">Pause</button>
<label>Maximum in flight <input name="max_concurrency" placeholder="8, off" size="9" autocomplete="off"></label>
<label>Bandwidth <input name="bandwidth" placeholder="5MB/s, off" size="13" autocomplete="off"></label>
<label>Rate of starts <input name="rate" placeholder="5/s, off" size="9" autocomplete="off"></label>
<button type="submit">Apply</button>
<output id="answer" aria-live="polite"></output>
</form></section>
<section id="charts" hidden><h2>Over time</h2>
<p>Since this page is served.</p>
<div class="charts">
{charts}</div></section>
<section id="failures" hidden><h2>Needs attention</h2>
<p id="failures-more" hidden> <code>bulk-upload report</code> has all.</p>
<div class="wide" tabindex="0" role="region" aria-label="Entries that need attention"><table class="plain">
<thead><tr><th scope="col">Path</th><th scope="col">State</th><th scope="col">Reason</th></tr></thead>
<tbody id="failures-rows"></tbody></table></div></section>
<section id="agents" hidden><h2>Agents</h2>
<p id="agents-text"></p>
<div class="wide" tabindex="0" role="region" aria-label="Agents"><table class="plain">
<thead><tr><th scope="col">Agent</th><th scope="col">Doing</th><th scope="col" class="number">Sent</th><th scope="col" class="number">Accepted</th><th scope="col">What became of it</th></tr></thead>
<tbody id="agents-rows"></tbody></table></div></section>
<section id="uploads" hidden><h2>In flight</h2>
<div class="wide" tabindex="0" role="region" aria-label="Uploads in flight"><table class="plain">
<thead><tr><th scope="col">Path</th><th scope="col" class="number">Size</th><th scope="col">Sent</th><th scope="col">Doing</th><th scope="col" class="number">For</th><th scope="col" id="uploads-agent" hidden>Agent</th></tr></thead>
<tbody id="uploads-rows"></tbody></table></div></section>
</main>
<footer><p>Live. This page asks only the command that serves it.</p></footer>
<script>{script}</script>
</body>
</html>
"""
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; img-src data:; connect-src 'self'; "
        f"style-src {_hash(style)}; script-src {_hash(script)}"
    )
    return text.encode("utf-8"), policy


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
    return f"'sha256-{digest}'"


def _resource(name: str) -> str:
    return resources.files("bulk_upload.report.page").joinpath(name).read_text("utf-8")
