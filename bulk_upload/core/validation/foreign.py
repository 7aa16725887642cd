"""Recognises lines in other tools' formats, so that the message says how to convert them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bulk_upload.core.purposes import PURPOSES, Kind
from bulk_upload.core.validation.rules import Complaint

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from bulk_upload.core.purposes import Purpose, Schema

_ROLES = '{"human":"user","gpt":"assistant"}'
ROLE_WORDS = {
    "human": "user",
    "gpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "ai": "assistant",
    "chatgpt": "assistant",
    "developer": "system",
}
"""Other tools' names for the API's roles."""


class _Convention(NamedTuple):
    """How one tool writes conversations: the keys that identify it, and a jq program that converts it to `messages`."""

    name: str
    keys: tuple[str, ...]
    program: str
    strings: tuple[str, ...] = ()


def _pair(question: str, answer: str) -> str:
    return f'{{messages: [{{role:"user", content:.{question}}}, {{role:"assistant", content:.{answer}}}]}}'


_SHAREGPT = "{messages: [.%s[] | {role: (%s[.from] // .from), content: .value}]}"
_CONVENTIONS = (
    _Convention(
        "ShareGPT (`conversations` of `from` and `value`)",
        ("conversations",),
        _SHAREGPT % ("conversations", _ROLES),
    ),
    _Convention(
        "ShareGPT (`conversation` of `from` and `value`)",
        ("conversation",),
        _SHAREGPT % ("conversation", _ROLES),
    ),
    _Convention(
        "preference pairs of texts (`prompt`, `chosen`, `rejected`)",
        ("prompt", "chosen", "rejected"),
        '{messages: [{role:"user", content:.prompt}], chosen: [{role:"assistant", content:.chosen}],'
        ' rejected: [{role:"assistant", content:.rejected}]}',
        strings=("prompt", "chosen", "rejected"),
    ),
    _Convention(
        "Alpaca (`instruction`, `input`, `output`)",
        ("instruction", "output"),
        '{messages: [{role:"user", content: (.instruction + (if (.input // "") == "" then "" else "\\n\\n" + .input end))},'
        ' {role:"assistant", content:.output}]}',
    ),
    _Convention("`prompt` and `completion`", ("prompt", "completion"), _pair("prompt", "completion")),
    _Convention("`prompt` and `response`", ("prompt", "response"), _pair("prompt", "response")),
    _Convention("`question` and `answer`", ("question", "answer"), _pair("question", "answer")),
    _Convention("`input` and `output`", ("input", "output"), _pair("input", "output")),
    _Convention(
        "Gemini (`contents` of `role` and `parts`)",
        ("contents",),
        '{messages: [.contents[] | {role: (if .role == "model" then "assistant" else .role end),'
        ' content: ([.parts[].text] | join(""))}]}',
    ),
)


def foreign_schema(value: Mapping[str, Any], schema: Schema) -> Complaint | None:
    """Return a complaint that names the convention of a line, None where it is unknown."""
    for one in _CONVENTIONS:
        if not all(key in value for key in one.keys):
            continue
        if not all(isinstance(value[key], str) for key in one.strings):
            continue
        found = f"the lines are {one.name}, not {names_listed(schema.required_names)}"
        return Complaint("foreign-schema", found, remedy=_conversion(one, schema))
    return None


def other_purpose(
    value: Mapping[str, Any], declared: Purpose, known: Iterable[Purpose] = tuple(PURPOSES.values())
) -> Complaint | None:
    """Return a complaint that names the purpose a line looks like, None where the declared one is as likely."""
    best = likely_purpose(value, declared, known)
    if best is None:
        return None
    found = f"this looks like {best.name} data: its lines have {names_listed(best.schema.required_names)}"
    remedy = f"If that is intended, set the purpose {best.name}"
    return Complaint("wrong-purpose", found, remedy=remedy)


def likely_purpose(names: Container[str], declared: Purpose, known: Iterable[Purpose]) -> Purpose | None:
    """Return the purpose that data with fields of these names is probably for, None where the declared one is as likely."""
    needed = declared.schema.required_names
    fits = [one for one in known if one.schema.fields and _has_all(names, one.schema.required_names)]
    best = max(fits, key=lambda one: len(one.schema.required_names), default=None)
    if best is None or (_has_all(names, needed) and len(best.schema.required_names) <= len(needed)):
        return None
    return best


def _has_all(value: Container[str], names: tuple[str, ...]) -> bool:
    return all(name in value for name in names)


def _conversion(convention: _Convention, schema: Schema) -> str:
    if all(field.kind is Kind.MESSAGES for field in schema.fields if field.required):
        return f"Convert them: jq -c '{convention.program}' IN > OUT"
    return f"Convert them: this purpose needs {names_listed(schema.required_names)} on every line"


def names_listed(names: tuple[str, ...]) -> str:
    """Return names in backquotes, with commas and `and` between them."""
    quoted = [f"`{name}`" for name in names]
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)
