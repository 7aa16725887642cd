"""A profile of one's own is taken from a table whole, or refused with the key that is wrong."""

from __future__ import annotations

import re
from typing import Any

import pytest
from msgspec.structs import fields

from bulk_upload.core.api.profile import FLOW, Profile, variable_flaw, variable_for_key
from bulk_upload.core.api.profile_table import PROFILE_KEYS, ProfileFlaw, profile_of

LEAST: dict[str, Any] = {
    "base-url": "https://files.example.com",
    "method": "POST",
    "files-path": "/v1/files",
    "file-field": "file",
    "purpose-field": "purpose",
    "purposes": ["assistants"],
}


def test_what_is_not_said_is_the_careful_choice() -> None:
    """A profile that does not say so can neither list nor keep names, and sends the key as a bearer token."""
    profile = profile_of("mine", LEAST)
    assert (profile.name, profile.can_list, profile.keeps_names) == ("mine", False, False)
    assert (profile.can_read_back, profile.content_path) == (True, "/content")
    assert (profile.auth_header, profile.auth_prefix, profile.id_field) == ("Authorization", "Bearer ", "id")


def test_every_field_has_its_key() -> None:
    """A table can say all that a profile is."""
    assert {key.replace("-", "_") for key in PROFILE_KEYS} == {one.name for one in fields(Profile)} - {"name"}


def test_the_built_in_one_can_be_said() -> None:
    """The profile of Flow itself, written as a table, is read back the same."""
    table = {
        key: list(value) if isinstance(value, tuple) else value
        for key in PROFILE_KEYS
        if (value := getattr(FLOW, key.replace("-", "_"))) not in (None, (), "")
    }
    table["auth-prefix"] = FLOW.auth_prefix
    made = profile_of("other", table)
    for one in fields(Profile):
        assert one.name == "name" or getattr(made, one.name) == getattr(FLOW, one.name)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("base-url", "files.example.com"),
        ("method", "DELETE"),
        ("method", 1),
        ("files-path", "v1/files"),
        ("files-path", "/v1/../files?x=1"),
        ("file-field", 'a"; filename="x'),
        ("file-field", "a\r\nb"),
        ("body", "bytes"),
        ("auth-header", "X Y"),
        ("auth-prefix", "Bearer sk-secret-4711"),
        ("id-field", "a..b"),
        ("purposes", "assistants"),
        ("purposes", []),
        ("can-list", "yes"),
        ("paging", "cursor"),
        ("paging", 1),
        ("first-page", 2),
        ("complete", True),
        ("name-alphabet", "ascii"),
        ("answered-5xx", "stored"),
        ("can-read-back", "yes"),
        ("can-read-back", []),
        ("upload-path", "v1/files"),
        ("headers", {"x y": "1"}),
        ("headers", {"x": "a\r\nb"}),
        ("headers", {"Content-Type": "text/plain"}),
        ("headers", "x: 1"),
        ("query", {"api-version": "a&b"}),
        ("query", {}),
        ("form", {"a": 1}),
        ("id-prefix", "files"),
        ("id-prefix", "../"),
        ("name-field", "a.b"),
        ("size-field", ""),
        ("list-page", 10_001),
        ("list-page", 0),
        ("list-page", True),
        ("size-limit-bytes", 1.5),
        ("bulk-path", "v1/bulk"),
        ("bulk-field", ""),
        ("bulk-max", 1),
        ("key-variable", "sk-4711"),
        ("key-variable", "sk4711"),
        ("key-variable", ""),
        ("base-url-variable", "A B"),
        ("team-variable", 1),
    ],
)
def test_what_cannot_be(key: str, value: object) -> None:
    """A value that would break a request, or hides a key, is refused by its name and not repeated."""
    with pytest.raises(ProfileFlaw) as caught:
        profile_of("mine", {**LEAST, key: value})
    assert caught.value.key == key
    assert str(caught.value).startswith(f"{key} must be")
    assert "4711" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [("method", "PATCH", 'must be "PUT" or "POST"'), ("conflict", "adopt", 'Did you mean "adopt:FIELD"?')],
)
def test_what_can_be_is_named(key: str, value: str, words: str) -> None:
    """All of it where it is two words, and never the word that was refused."""
    with pytest.raises(ProfileFlaw, match=re.escape(words)):
        profile_of("mine", {**LEAST, key: value})


def test_where_contents_are() -> None:
    """A server may have them elsewhere, or nowhere."""
    profile = profile_of("mine", {**LEAST, "content-path": "/download/raw", "can-read-back": False})
    assert (profile.can_read_back, profile.content_path) == (False, "/download/raw")
    for wrong in ("content", "/a b", "/content?x=1", "", 7):
        with pytest.raises(ProfileFlaw) as caught:
            profile_of("mine", {**LEAST, "content-path": wrong})
        assert caught.value.key == "content-path"


def test_unknown_and_missing_keys() -> None:
    """A misspelled key is told with the nearest one; missing ones are told all at once."""
    with pytest.raises(ProfileFlaw, match=r'no \'file_field\'. Did you mean "file-field"\?'):
        profile_of("mine", {**LEAST, "file_field": "x"})
    with pytest.raises(ProfileFlaw, match="lacks base-url, files-path"):
        profile_of("mine", {key: LEAST[key] for key in LEAST if key not in ("base-url", "files-path")})


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        ({"paging": "aftr"}, "paging", 'Did you mean "after"?'),
        ({"purposes": ["a", "b"]}, "purposes", "must be a list of one"),
        ({"can-read-back": ["asistants"]}, "can-read-back", 'Did you mean "assistants"?'),
        ({"headers": {"authorization": "x"}}, "headers", "the header of the key"),
        ({"form": {"file": "x"}}, "form", "the field of the file"),
        ({"bulk-max": 8}, "bulk-max", "without bulk-path"),
        ({"bulk-field": "files"}, "bulk-field", "without bulk-path"),
        ({"bulk-path": "/v1/bulk"}, "bulk-path", "needs can-list, keeps-names"),
        ({"bulk-path": "/v1/bulk", "can-list": True}, "bulk-path", "needs can-list, keeps-names"),
        (
            {"bulk-path": "/v1/bulk", "can-list": True, "keeps-names": True, "complete": "one-page"},
            "bulk-path",
            'complete = "walk"',
        ),
    ],
)
def test_keys_that_contradict_each_other(change: dict[str, Any], key: str, words: str) -> None:
    """What cannot be meant together is told with the key to change."""
    table = {name: value for name, value in {**LEAST, **change}.items() if name != "purpose-field"}
    with pytest.raises(ProfileFlaw) as caught:
        profile_of("mine", table)
    assert caught.value.key == key
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"key-variable": "SEEKR_API_KEY"}, "key-variable"),
        ({"team-variable": "SEEKR_API_KEY"}, "team-variable"),
        ({"base-url-variable": "SEEKR_BASE_URL"}, "base-url-variable"),
        ({"key-variable": "MINE", "team-variable": "MINE"}, "team-variable"),
        ({"base-url-variable": "OTHER_API_KEY"}, "base-url-variable"),
        ({"key-variable": "MINE", "team-variable": "TEAM", "base-url-variable": "URL"}, None),
        ({}, None),
    ],
)
def test_a_variable_belongs_to_one_profile(change: dict[str, str], key: str | None) -> None:
    """A profile takes no variable of a built-in one, and shows nothing out of a variable that holds a key."""
    other = profile_of("other", {**LEAST, "key-variable": "OTHER_API_KEY"})
    flaw = variable_flaw(profile_of("mine", {**LEAST, **change}), [other])
    assert (flaw and flaw[0]) == key


def test_a_name_for_the_variable_is_proposed() -> None:
    """It is one that a shell and a profile take, whatever the profile is called."""
    assert variable_for_key("my-archive") == "MY_ARCHIVE_API_KEY"
    assert profile_of("9", {**LEAST, "key-variable": variable_for_key("9")}).key_variable == "_9_API_KEY"


@pytest.mark.parametrize("name", ["flow", "", "My", "a b", "-a", "a" * 33])
def test_names(name: str) -> None:
    """A name is short and plain, and no built-in one."""
    with pytest.raises(ProfileFlaw):
        profile_of(name, LEAST)


def test_what_tells_of_a_raw_body_is_named_once() -> None:
    """A fixed parameter cannot have the name of one that tells of the file; in a form they are apart."""
    for told in ({"purpose": "x"}, {"file": "x"}, {"tag": "x"}):
        table = {**LEAST, "form": {"tag": "y"}, "query": told}
        assert profile_of("mine", table).body == "form"
        with pytest.raises(ProfileFlaw, match="which tells of the file where body is raw") as caught:
            profile_of("mine", {**table, "body": "raw"})
        assert caught.value.key == "query"
