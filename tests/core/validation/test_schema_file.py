"""A user's own schema file."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.purposes import PURPOSES, rules_of
from bulk_upload.core.validation.schema_file import read_schemas
from bulk_upload.errors import UsageError
from tests.core.data_samples import ASSISTANT, CHAT, SYSTEM, USER, check, found, line

TOML = b"""
[purposes.fine-tune]
roles = ["system", "user", "assistant", "tool"]
content_parts = true

[purposes.classify]
summary = "texts with a label"
suffixes = [".jsonl"]
fields = { "te xt" = "string", label = "number", note = "object?" }
"""


def test_a_known_purpose_changes_only_where_it_is_told_to() -> None:
    """Roles and parts are allowed now; the order of turns and the last role still matter."""
    purpose = read_schemas(TOML, name="s.toml")[CHAT.name]
    tool = {"role": "tool", "content": [{"type": "text", "text": "12"}]}
    assert found(purpose, line(CHAT, messages=[SYSTEM, USER, ASSISTANT, tool])) == [
        ("last-role", 1, "$.messages[3].role")
    ]
    assert purpose.summary == CHAT.summary
    assert found(CHAT, line(CHAT, messages=[USER, tool]))[0][0] == "wrong-role"


def test_a_purpose_of_ones_own() -> None:
    """A new purpose is checked as its fields say; what may be absent may not be of another type."""
    purpose = read_schemas(TOML, name="s.toml")["classify"]
    good = b'{"te xt": "a", "label": 1}\n{"te xt": "b", "label": 1.5, "note": {}}\n'
    assert found(purpose, good) == []
    bad = b'{"te xt": 1, "label": 2}\n{"label": true, "te xt": "a"}\n{"te xt": "a", "label": 3, "note": []}\n'
    assert [(one.rule, one.line_no, one.place) for one in check(purpose, good + bad).findings] == [
        ("wrong-type", 3, '$["te xt"]'), ("wrong-type", 4, "$.label"), ("wrong-type", 5, "$.note"),
    ]  # fmt: skip


def test_json_says_the_same() -> None:
    """The file may be JSON, too; and other rules have another key, so that old results are not used again."""
    text = json.dumps(
        {"purposes": {CHAT.name: {"roles": ["system", "user", "assistant", "tool"], "content_parts": True}}}
    )
    changed = read_schemas(text.encode(), name="s.json")
    assert changed[CHAT.name] == read_schemas(TOML, name="s.toml")[CHAT.name]
    assert rules_of(changed[CHAT.name]) != rules_of(CHAT)
    assert {name: changed[name] for name in PURPOSES if name != CHAT.name} == {
        name: purpose for name, purpose in PURPOSES.items() if name != CHAT.name
    }


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (b"purposes = 3", "Expected `object`"),
        (b"[purposes.x]\nfeilds = {}", "feilds"),
        (b'[purposes.x]\nfields = { a = "sting" }', "sting"),
        (b"[purposes.x]\nroles = []", "roles"),
        (b"{", "schema file"),
        (b"\xff", "schema file"),
    ],
)
def test_mistakes_are_told(text: bytes, word: str) -> None:
    """A schema file with a mistake is refused with the place of the mistake."""
    with pytest.raises(UsageError) as caught:
        read_schemas(text, name="s.toml")
    assert word in str(caught.value)
    assert caught.value.hint


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_schema_file_or_a_mistake(text: bytes) -> None:
    """Nothing but a UsageError that names the file comes of a file that is none."""
    try:
        assert read_schemas(text, name="s.toml")
    except UsageError as error:
        assert "s.toml" in str(error)  # noqa: PT017 - either way is right
