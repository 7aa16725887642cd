"""The rules of validation: their ids, how much each matters, and what to do about it.

docs/how-to/validation.md lists them for people; a test compares the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec.structs import replace

from bulk_upload.core.finding import Finding, Severity
from bulk_upload.core.purposes import rules_of
from bulk_upload.core.validation.conversion.advice import options_for, remedy_for

if TYPE_CHECKING:
    from bulk_upload.core.purposes import Purpose
    from bulk_upload.core.shapes.command import ConvertCommand

PURPOSE_MISMATCH = "purpose-mismatch"
"""The rule that a file is of its purpose, and not of another one. What comes before validation applies it, too."""

KEPT_PER_RULE_MAX = 50
"""Findings of one rule in one file beyond this many are counted, not kept."""

KEPT_APART_MAX = 5
"""The same for findings of which only those are kept that say something else."""


class Rule(msgspec.Struct, frozen=True):
    """One rule. `remedy` is what usually helps; a finding may know better.

    `once` keeps its first finding only; with `each`, the first of those that say something else, a few.
    """

    severity: Severity
    meaning: str
    remedy: str
    once: bool = False
    each: bool = False


class Complaint(NamedTuple):
    """A rule's complaint about one line, before the line and file are known."""

    rule: str
    found: str
    place: str | None = None
    remedy: str | None = None
    column: int | None = None
    byte_in_line: int | None = None
    convert: tuple[str, ...] | None = None
    """The options with which `bulk-upload convert` does what `remedy` says, None where it does not."""
    convert_for: str | None = None
    """The purpose that the file is converted for, None for the one that it has."""


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE

RULES: dict[str, Rule] = {
    # The file as a whole
    "unreadable": Rule(_E, "the file cannot be read", "Make it readable, and make sure that nothing writes to it"),
    "empty-file": Rule(_E, "the file is empty", "Write the data to it, or remove it from the manifest"),
    "compressed": Rule(_E, "the file is compressed or an archive", "Decompress it and name the decompressed file", once=True),
    "compressed-unread": Rule(
        _N, "the content of a compressed file was not checked", "pip install 'bulk-upload[zstd]' has it checked", once=True
    ),
    "bad-compressed": Rule(
        _E, "the compressed data is damaged or was cut off", "Write or fetch the file again", once=True
    ),
    "not-json-lines": Rule(
        _E, "the file is something else with a JSON Lines name: CSV, HTML, a PDF, plain text",
        "Convert it: one JSON object on each line", once=True,
    ),
    "utf-16": Rule(_E, "the text is UTF-16 or UTF-32", "Save it as UTF-8", once=True),
    "zero-filled": Rule(
        _E, "the file holds zero bytes only: it was never written, or lost in a crash", "Write or fetch it again", once=True
    ),
    "zero-filled-tail": Rule(
        _E, "the file ends with zero bytes: it was not written whole", "Write or fetch it again", once=True
    ),
    "pretty-printed": Rule(
        _E, "one JSON value spans many lines", "Write one object on each line", once=True
    ),
    "json-array": Rule(
        _E, "the file is one JSON array", "Write one object on each line", once=True
    ),
    "byte-order-mark": Rule(
        _E, "the file starts with a byte order mark, which JSON does not allow",
        "Save it as UTF-8 without a byte order mark", once=True,
    ),
    "crlf": Rule(
        _W, "lines end with CR LF, as on Windows", "If a reader objects, save it with LF line ends", once=True
    ),
    "cr-lines": Rule(
        _E, "lines end with CR alone, as on very old systems", "Save it with LF line ends", once=True
    ),
    "line-separator": Rule(
        _N, "a line holds U+2028, U+2029 or U+0085, where some readers cut it; JSON allows them",
        "Write them as escapes if a reader cuts such lines", once=True,
    ),
    "foreign-schema": Rule(_E, "the lines follow the convention of another tool", "Convert them", once=True, each=True),
    "purpose-mismatch": Rule(
        _E, "the file is plainly of another purpose than its entry says", "Set that purpose, or name the file that was meant",
        once=True,
    ),
    "wrong-purpose": Rule(_W, "the lines look like those of another purpose", "Check the purpose", once=True),
    "unusual-suffix": Rule(_W, "the file name is unusual for the purpose", "Check the purpose and the name", once=True),
    "unknown-schema": Rule(
        _N, "no schema is known for the purpose", "Describe it in a file and pass --schema FILE", once=True
    ),
    "too-many-lines": Rule(_E, "the file has more lines than the API takes", "Split the file", once=True),
    "too-many-bytes": Rule(_E, "the file has more bytes than the API takes", "Split the file", once=True),
    "duplicates-unchecked": Rule(
        _N, "only the first million lines were compared with each other",
        "Look for more with: sort FILE | uniq -d", once=True,
    ),
    # One line
    "bad-json": Rule(_E, "the line is not JSON", "Mend the line; json.dumps writes lines that are right"),
    "trailing-garbage": Rule(_E, "something follows the JSON object", "Put each object on its own line"),
    "trailing-comma": Rule(_E, "a comma follows the object", "Write lines without a comma at their end"),
    "double-encoded": Rule(
        _E, "the object is JSON inside a string, or in the quotes of CSV", "Write the object itself, not its text as a string"
    ),
    "not-an-object": Rule(_E, "the line is JSON, but not an object", 'Write an object: {"...": ...}'),
    "not-a-number": Rule(_E, "NaN or Infinity, which JSON does not have", "Write null or leave the field out"),
    "not-utf-8": Rule(_E, "bytes that are not UTF-8", "Save the file as UTF-8, or fix the line"),
    "lone-surrogate": Rule(
        _E, "an escape such as \\ud83d that is half of a character", "Write both halves, or the character itself"
    ),
    "too-deep": Rule(_E, "arrays or objects are nested too deeply", "Flatten the value"),
    "huge-line": Rule(_E, "the line is longer than the limit; it was not checked", "Split the example"),
    "missing-key": Rule(_E, "a field that the purpose needs is not there", "Add the field, or check the purpose"),
    "wrong-type": Rule(_E, "a field has the wrong type for the purpose", "Write the value as that type"),
    "wrong-role": Rule(_E, "a role that the API does not know", "Use one of the roles it knows"),
    "content-parts": Rule(
        _E, "`content` is a list of parts, and the reference knows strings only",
        "Join the texts of the parts into one string, or set `content_parts = true` in a --schema file",
    ),
    "empty-messages": Rule(_E, "there are no messages", "Add messages, or remove the line"),
    "empty-content": Rule(_W, "a text is empty", "Fill it in, or remove the line"),
    "no-assistant": Rule(
        _E, "a conversation has no message of the assistant: there is nothing to learn from", "Add the answer, or remove the line"
    ),
    "template-marks": Rule(
        _W, "a text holds marks of a chat template, such as [INST], which training adds by itself",
        "Write the bare texts, each as a message with its role, without the marks",
    ),
    "role-order": Rule(_W, "the roles come in an unusual order", "Let user and assistant take turns, system first"),
    "last-role": Rule(_W, "the last message is not the assistant's", "End with the answer that is to be learnt"),
    "bad-part": Rule(
        _E, "a part of a content has no type that is known, or lacks what its type needs",
        'Write parts as {"type": "text", "text": "..."}',
    ),
    "bad-weight": Rule(_W, "the weight of a message is neither 0 nor 1", "Write 1 for what is to be learnt, 0 for the rest"),
    "no-weight": Rule(_W, "every answer of a conversation has the weight 0", "Give an answer the weight 1, or remove the line"),
    "bad-tool-call": Rule(
        _W, "a tool call is not written as chat APIs expect it",
        'Write {"id": "...", "type": "function", "function": {"name": "...", "arguments": "{...}"}}',
    ),
    "tool-call-ids": Rule(
        _W, "tool calls and their results do not match", "Let a result with the id of the call follow each call"
    ),
    "system-beside-messages": Rule(
        _W, "a system prompt stands beside the messages, where the API does not look for it",
        "Make it the first message, with the role system",
    ),
    "same-answers": Rule(
        _W, "the chosen and the rejected answer are the same", "Write two different answers, or remove the line"
    ),
    "prompts-differ": Rule(
        _W, "the chosen and the rejected answer are answers to different prompts", "Pair answers to the same prompt"
    ),
    "answer-in-messages": Rule(
        _W, "the messages hold the answer already", "Remove the answer from the messages"
    ),
    "blank-line": Rule(_W, "the line is empty", "Remove the line"),
    "duplicate-line": Rule(_W, "the line is the same as an earlier one", "Remove one of them"),
    "wrong-value": Rule(_E, "a field has a value that the API does not know", "Use one of the values it knows"),
    "repeated-value": Rule(
        _E, "a value that must differ from line to line stands on an earlier line", "Give each line a value of its own"
    ),
    "differing-value": Rule(
        _E, "a value that must be the same on every line differs", "Write lines with another value to a file of their own"
    ),
    "duplicate-across-files": Rule(
        _W, "the example is the same as one of another file (`--stats`)", "Remove one of them"
    ),
    "train-eval-overlap": Rule(
        _W, "the example, or its prompt, is also in a group that should have nothing in common with it (`--group`)",
        "Remove it from one of the groups",
    ),
    "too-many-tokens": Rule(
        _W, "the example has more tokens than `--max-tokens`", "Shorten or split it: trainers cut off what is longer"
    ),
    "likely-secret": Rule(
        _W, "a text likely holds a key, a token or a password (`--scan secrets`)",
        "Replace it, and revoke it where it is real: models repeat what they learn",
    ),
    "personal-data": Rule(
        _W, "a text likely holds an email address, a phone, card, account or social security number (`--scan secrets`)",
        "Replace it, unless you may train on it",
    ),
    "duplicate-key": Rule(_W, "an object has a duplicate key; most readers keep the last", "Remove one of them"),
    # Files that are not lines
    "bad-parquet": Rule(_E, "the file is not a complete Parquet file", "Write it again, and make sure that it was copied completely"),
    "parquet-columns": Rule(_W, "columns that the purpose needs are not there", "Check the columns and the purpose"),
    "parquet-unread": Rule(
        _N, "only the magic bytes of the Parquet file were checked", "pip install 'bulk-upload[parquet]' has footer and rows checked"
    ),
    "bad-torch": Rule(_E, "the file is not what torch.save writes", "Save it again with torch.save"),
    "torch-unread": Rule(
        _N, "a PyTorch file was recognised by its directory and not loaded: loading one can run code",
        "Nothing to do; check its content where you trust it",
    ),
    "empty-document": Rule(_W, "a document is empty", "Fill it, or remove it from the manifest"),
    "cut-document": Rule(_W, "a document lacks its end", "Export or fetch it again"),
    "document-mismatch": Rule(_W, "a document's content does not match its name", "Open it to see what it is; export it again"),
}  # fmt: skip


class RuleChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Which rules apply, and how much they matter.

    Args:
        ignored: rules that do not apply: nothing is found by them, and no file is invalid because of them.
        errors: rules whose findings are errors, whatever they are by themselves.
        is_strict: every warning is an error.
    """

    ignored: frozenset[str] = frozenset()
    errors: frozenset[str] = frozenset()
    is_strict: bool = False

    def severity_of(self, rule: str) -> Severity:
        """Return how much a finding of a rule matters."""
        usual = RULES[rule].severity
        raised = rule in self.errors or (self.is_strict and usual is Severity.WARNING)
        return Severity.ERROR if raised else usual

    def is_error(self, rule: str) -> bool:
        """Whether a finding of a rule keeps its file from being sent."""
        return rule not in self.ignored and self.severity_of(rule) is Severity.ERROR

    def version_of(self, purpose: Purpose, *, thorough: bool = False) -> str:
        """Return an identifier of the rules for a purpose: results under equal rules remain valid."""
        without = f"-without-{','.join(sorted(self.ignored))}" if self.ignored else ""
        raised = f"-errors-{','.join(sorted(self.errors))}" if self.errors else ""
        strict = "-strict" if self.is_strict else ""
        return f"{rules_of(purpose)}{'-thorough' if thorough else ''}{without}{raised}{strict}"


ALL_RULES = RuleChoice()

COUNTED = {rule: Complaint(rule, "") for rule in RULES}
"""Complaints that are only counted: enough of their rule have words."""

NO_RULES: frozenset[str] = frozenset()

NEVER_IGNORED = frozenset({"unreadable"})
"""Without its content no file can be sent."""


WHOLE_FILE = frozenset(
    {
        "unreadable",
        "empty-file",
        "zero-filled",
        "compressed",
        "not-json-lines",
        "utf-16",
        "pretty-printed",
        "json-array",
        "purpose-mismatch",
    }
)
"""Rules that leave no line to check: no repaired copy can be made of such a file."""


def finding_of(
    complaint: Complaint,
    *,
    where: str,
    line_no: int | None,
    line_start: int = 0,
    choice: RuleChoice = ALL_RULES,
    command: ConvertCommand | None = None,
) -> Finding:
    """Return a complaint as a finding about one line of one file.

    `line_start` is the offset of the line's first byte; `command` converts the file.
    """
    rule = RULES[complaint.rule]
    convert = options_for(complaint.rule, complaint.remedy, complaint.convert)
    if convert is not None and complaint.convert_for is not None:
        convert = ("--purpose", complaint.convert_for, *convert)
    if command is not None and complaint.convert_for is not None:
        command = replace(command, purpose=complaint.convert_for)
    offset = None if complaint.byte_in_line is None else line_start + complaint.byte_in_line
    return Finding(
        rule=complaint.rule,
        where=where,
        found=complaint.found,
        remedy=remedy_for(complaint.rule, complaint.remedy, rule.remedy, complaint.convert, command),
        line_no=line_no,
        place=complaint.place,
        severity=choice.severity_of(complaint.rule),
        column=complaint.column,
        byte_offset=offset,
        convert=convert,
    )


def is_error(complaint: Complaint) -> bool:
    """Whether a complaint keeps its file from being sent."""
    return RULES[complaint.rule].severity is Severity.ERROR
