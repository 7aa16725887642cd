"""Any TOML at all is either a configuration or a mistake that is told with its line."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.cli.commands.run import run
from bulk_upload.cli.config.file import Configuration
from bulk_upload.cli.config.reading import configuration_of
from bulk_upload.cli.options.sections import ServerCommand
from bulk_upload.core.api.profile_table import PROFILE_KEYS
from bulk_upload.errors import UsageError

assert isinstance(run, ServerCommand)
OPTIONS = run.settings()
SETTINGS = sorted(OPTIONS)
KEYS = st.sampled_from([*SETTINGS, *PROFILE_KEYS, "manifest", "api-key", "x y", "ü", ""])
ATOMS = st.one_of(
    st.sampled_from(["true", "false", "inf", "-inf", "nan", "1979-05-27", "07:32:00", "1e400", "-1", "0"]),
    st.integers(-(2**62), 2**62).map(str),
    st.text(max_size=6).map(lambda text: json.dumps(text.encode("ascii", "ignore").decode())),
    st.sampled_from(['"2h"', '"flow"', '"1%"', '"http://a@b"', '"http://[::1"', '"PUT"']),
)
VALUES = st.one_of(
    ATOMS,
    st.lists(ATOMS, max_size=2).map(lambda atoms: f"[{', '.join(atoms)}]"),
    ATOMS.map(lambda atom: f"{{ a = {atom} }}"),
)
HEADERS = st.sampled_from(
    [
        "[defaults]",
        "[jobs.a]",
        "[jobs.b]",
        "[profiles.p]",
        "[profiles.q]",
        "[jobs]",
        "[[defaults]]",
        "[x]",
        "[jobs.a.b]",
    ]
)
LINES = st.one_of(HEADERS, st.tuples(KEYS, VALUES).map(lambda pair: f"{json.dumps(pair[0])} = {pair[1]}"))


@given(st.lists(LINES, max_size=6))
def test_anything_is_understood_or_refused(lines: list[str]) -> None:
    """Nothing but a UsageError with a hint comes of what is wrong, and what is right serves every command."""
    try:
        _serves(configuration_of("some.toml", "\n".join(lines), OPTIONS))
    except UsageError as error:
        assert error.hint  # noqa: PT017 - either way is right


@given(st.sampled_from(SETTINGS), VALUES)
def test_any_value_of_any_setting(key: str, value: str) -> None:
    """Each setting takes or refuses each value, with the line where it stands."""
    refusal = None
    try:
        _serves(configuration_of("some.toml", f"[defaults]\n\n{key} = {value}\n", OPTIONS))
    except UsageError as error:
        refusal = error
    if refusal is not None:
        assert str(refusal).startswith(("some.toml, line 3: ", "some.toml is not TOML"))
        assert refusal.hint


def _serves(configuration: Configuration) -> None:
    for job in (None, *configuration.jobs):
        values: dict[str, Any] = configuration.defaults_of(OPTIONS, job)
        assert ("manifest" in values) is (job is not None)
