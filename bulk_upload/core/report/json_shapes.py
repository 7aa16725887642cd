"""What `--json` prints: the objects of each command, with the meaning of each key.

docs/reference/json.md is made of them. Within a version keys may be added; those that are there keep their meaning.
"""

from __future__ import annotations

# ruff: noqa: TC001, TC003 - the page and its test evaluate the annotations.
from collections.abc import Mapping
from typing import Annotated

import msgspec

from bulk_upload.core.finding import Severity
from bulk_upload.core.model import EntryState
from bulk_upload.core.run.plan import Step


def _meaning(words: str) -> msgspec.Meta:
    return msgspec.Meta(description=words)


_PATH = _meaning("the path in the manifest")
_FILE_ID = _meaning("the id of the file at the server")


class PlannedTotal(msgspec.Struct, frozen=True, kw_only=True):
    """How many entries a step has."""

    entry_count: Annotated[int, _meaning("entries")]
    file_bytes: Annotated[int, _meaning("bytes of their files")]


class PlannedReason(msgspec.Struct, frozen=True, kw_only=True):
    """How many entries have a step for one reason."""

    step: Annotated[Step, _meaning("what the run would do")]
    reason: Annotated[str, _meaning("why, in words")]
    entry_count: Annotated[int, _meaning("entries")]


class PlanSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a run would do."""

    entry_count: Annotated[int, _meaning("entries of the manifest")]
    file_bytes: Annotated[int, _meaning("bytes of their files")]
    steps: Annotated[
        Mapping[Step, PlannedTotal], _meaning("`entry_count` and `file_bytes` by step, all steps")
    ]
    reasons: Annotated[tuple[PlannedReason, ...], _meaning("`step`, `reason` and `entry_count`")]
    twin_count: Annotated[int, _meaning("entries that share name, size and purpose with another")]
    dropped_count: Annotated[int, _meaning("entries of the ledger that the manifest does not have")]
    bundle_count: Annotated[int, _meaning("requests with several files, 0 without `--bundle`")]
    bundled_file_count: Annotated[int, _meaning("files in them")]
    mixups: Annotated[tuple[str, ...], _meaning("purposes with files of another one, in words")]
    warnings: Annotated[tuple[str, ...], _meaning("other warnings, in words")]
    ledger: Annotated[str, _meaning("the ledger's path")]
    ledger_exists: Annotated[bool, _meaning("whether it is there already")]


class ScanSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a scan found."""

    entry_count: Annotated[int, _meaning("entries of the manifest")]
    file_bytes: Annotated[int, _meaning("bytes of their files")]
    purposes: Annotated[Mapping[str, int], _meaning("entries by purpose")]
    unmatched_count: Annotated[int, _meaning("files that no --map pattern matches")]
    undecided_count: Annotated[int, _meaning("files whose purpose cannot be told")]
    skipped_count: Annotated[
        int, _meaning("what cannot be uploaded: links out of the folder, pipes and the like")
    ]
    unreadable_count: Annotated[int, _meaning("files and folders that could not be read")]
    mixups: Annotated[tuple[str, ...], _meaning("purposes with files of another one, in words")]
    manifest: Annotated[str, _meaning("the manifest that was written")]


class AgentTotal(msgspec.Struct, frozen=True, kw_only=True):
    """What one agent sent in the last run."""

    agent: Annotated[str, _meaning("its name: host and process id")]
    attempt_count: Annotated[int, _meaning("its requests")]
    accepted_count: Annotated[int, _meaning("files that the server accepted from it")]
    accepted_bytes: Annotated[int, _meaning("their bytes")]
    in_doubt_count: Annotated[int, _meaning("its requests without a credible answer")]


class PackSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What `pack` did. The names are those of packs in their folder."""

    made: Annotated[tuple[str, ...], _meaning("new packs")]
    rebuilt: Annotated[
        tuple[str, ...], _meaning("packs with other content than before: a file changed, or is gone")
    ]
    kept_count: Annotated[int, _meaning("packs that stayed as they were")]
    gone: Annotated[
        tuple[str, ...], _meaning("packs that were removed: none of their files is in the manifest")
    ]
    member_count: Annotated[int, _meaning("files in all packs")]
    pack_bytes: Annotated[int, _meaning("bytes of all packs")]
    manifest: Annotated[str, _meaning("the manifest of the packs")]
    members: Annotated[str, _meaning("the list of their members")]


class UnpackedDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A file, or a pack, that `unpack` could not bring back."""

    name: Annotated[str, _meaning("the path of the file in the manifest, or the name of the pack")]
    detail: Annotated[str, _meaning("what is wrong")]


class JobStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a job."""

    profile: Annotated[str | None, _meaning("the API profile; null, like the next ones, in a new ledger")]
    endpoint: Annotated[str | None, _meaning("the server's address")]
    team: Annotated[str | None, _meaning("the team, or null")]
    root: Annotated[str | None, _meaning("where relative paths start")]
    last_active_utc: Annotated[str | None, _meaning("when a run last worked on it, UTC")]
    states: Annotated[
        Mapping[EntryState, int], _meaning("entries of the last manifest by status, all statuses")
    ]
    entry_count: Annotated[int, _meaning("entries of the last manifest")]
    accepted_bytes: Annotated[int, _meaning("bytes of accepted files")]
    dropped_count: Annotated[int, _meaning("entries that the last manifest does not have")]
    missing_count: Annotated[
        int, _meaning("accepted entries whose files `verify` found gone from the server")
    ]
    agents: Annotated[
        tuple[AgentTotal, ...],
        _meaning(
            "what each agent sent in the last run: `agent`, `attempt_count`, `accepted_count`, `accepted_bytes` and "
            "`in_doubt_count`; empty if the run sent by itself"
        ),
    ]
    request_count: Annotated[int, _meaning("upload requests that were made")]
    sent_count: Annotated[int, _meaning("files in them, also those that were not accepted")]


class DataFinding(msgspec.Struct, frozen=True, kw_only=True):
    """A finding of validation; docs/how-to/validation.md explains the rules."""

    file: Annotated[str, _meaning("the file, or the manifest")]
    line: Annotated[
        int | None, _meaning("the line, counted from 1; null if the finding is about the whole file")
    ]
    column: Annotated[int | None, _meaning("the character of the line, counted from 1, or null")]
    path: Annotated[str | None, _meaning("where in the line: a JSON path or a column, or null")]
    byte_offset: Annotated[int | None, _meaning("the byte of the file, counted from 0, or null")]
    rule: Annotated[str, _meaning("the rule's id")]
    severity: Annotated[Severity, _meaning("`error`, `warning` or `note`")]
    found: Annotated[str, _meaning("what was found")]
    remedy: Annotated[str, _meaning("what to do about it")]
    purpose: Annotated[str | None, _meaning("the purpose the file was checked for, or null")]
    count: Annotated[int, _meaning("how many findings the object stands for")]


class InDoubtEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry in doubt."""

    path: Annotated[str, _PATH]
    purpose: Annotated[str, _meaning("its purpose")]
    sent_name: Annotated[str, _meaning("the name it was sent under")]
    file_bytes: Annotated[int, _meaning("its size when it was sent")]
    sent_utc: Annotated[str, _meaning("when its upload began, UTC")]
    reason: Annotated[str, _meaning("why it is in doubt")]
    candidate_id: Annotated[str | None, _meaning("the id that an answer had which was not believed, or null")]


class ResolvedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an entry that was in doubt."""

    path: Annotated[str, _PATH]
    state: Annotated[EntryState, _meaning("its status now")]
    words: Annotated[str, _meaning("how that was decided, or why it could not be")]


class ReceiptDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A difference between the ledger and the server."""

    kind: Annotated[
        str,
        _meaning("`missing`, `renamed`, `resized`, `repurposed`, `content`, `duplicate` or `orphan`"),
    ]
    file_id: Annotated[str, _FILE_ID]
    path: Annotated[str, _PATH]
    detail: Annotated[str, _meaning("what differs")]


class UndoneFile(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a file that was to be deleted, or, with --dry-run, would be."""

    file_id: Annotated[str, _FILE_ID]
    path: Annotated[str, _PATH]
    outcome: Annotated[str, _meaning("`deleted`, `gone`, `kept`, `unknown`; `would-delete` with --dry-run")]
    reason: Annotated[str | None, _meaning("why it was kept, or null")]


class ServerFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the server's list; what the server does not say is null."""

    file_id: Annotated[str | None, _FILE_ID]
    filename: Annotated[str | None, _meaning("its name")]
    bytes: Annotated[int | None, _meaning("its size")]
    purpose: Annotated[str | None, _meaning("its purpose")]
    created_at: Annotated[str | None, _meaning("when it was made, as the server says it")]


class FetchedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was fetched."""

    file_id: Annotated[str, _FILE_ID]
    path: Annotated[str, _meaning("where it was written")]
    bytes: Annotated[int, _meaning("how much was written")]
    sha256: Annotated[str, _meaning("the hash of what was written")]


class RemovedFile(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a file that was to be deleted."""

    file_id: Annotated[str, _FILE_ID]
    outcome: Annotated[str | None, _meaning("how it ended, null without an answer")]
    reason: Annotated[str | None, _meaning("why it was kept, or null")]


class DoctorCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was checked."""

    name: Annotated[str, _meaning("what was checked")]
    verdict: Annotated[str, _meaning("`ok`, `warning` or `problem`")]
    words: Annotated[str, _meaning("what was found")]
    remedy: Annotated[str | None, _meaning("what to do about it, or null")]
    exit_code: Annotated[int, _meaning("the exit code that a run would end with because of it")]


class SettingValue(msgspec.Struct, frozen=True, kw_only=True):
    """One setting."""

    name: Annotated[str, _meaning("the option, without dashes")]
    value: Annotated[str | None, _meaning("its value as text, or null")]
    source: Annotated[str, _meaning("where it comes from")]


class Amounts(msgspec.Struct, frozen=True, kw_only=True):
    """The distribution of whole numbers, one for each example."""

    total: Annotated[int, _meaning("their sum")]
    mean: Annotated[float, _meaning("their mean")]
    least: Annotated[int, _meaning("the least")]
    p50: Annotated[int, _meaning("half of them are not above it")]
    p90: Annotated[int, _meaning("nor 90 %")]
    p95: Annotated[int, _meaning("nor 95 %")]
    p99: Annotated[int, _meaning("nor 99 %")]
    most: Annotated[int, _meaning("the largest")]
    bars: Annotated[
        tuple[tuple[int, int, int], ...], _meaning("least and largest value, and how many lie between")
    ]


class DataStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """The examples of one purpose, printed after the findings.

    An object of amounts has `total`, `mean`, `least`, `p50`, `p90`, `p95`, `p99`, `most`, and `bars`: triples of the least
    and the largest value and how many lie between. Percentiles are exact below 64; above, they are at most 3.2 % too high.
    """

    kind: Annotated[str, _meaning("`statistics`; findings have no `kind`")]
    purpose: Annotated[str, _meaning("the purpose")]
    file_count: Annotated[int, _meaning("its files")]
    example_count: Annotated[int, _meaning("lines, rows or values of an array that are examples")]
    other_count: Annotated[int, _meaning("those that are none, and that nothing else counts")]
    turns: Annotated[Amounts | None, _meaning("amounts: messages per example; null where it has none")]
    characters: Annotated[Amounts | None, _meaning("amounts: characters of all texts per example")]
    tokens: Annotated[Amounts | None, _meaning("amounts: tokens per example; null without `--tokenizer`")]
    over_count: Annotated[int | None, _meaning("examples above `--max-tokens`, or null")]
    longest: Annotated[
        Mapping[str, str | int] | None, _meaning("`file`, `line` and `characters` of the longest example")
    ]
    longest_in_tokens: Annotated[Mapping[str, str | int] | None, _meaning("`file`, `line` and `tokens`")]
    roles: Annotated[
        Mapping[str, Mapping[str, int]],
        _meaning("`message_count` and `characters` by role, or by text field"),
    ]
    tool_example_count: Annotated[int, _meaning("examples with tools or calls of them")]
    tools: Annotated[Mapping[str, int], _meaning("calls by tool")]
    answers: Annotated[
        Mapping[str, int] | None,
        _meaning(
            "preference data: `pair_count`, `chosen_characters`, `rejected_characters`, `chosen_longer_count`, "
            "`rejected_longer_count`"
        ),
    ]


class DataComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Which examples of all files are the same, printed last."""

    kind: Annotated[str, _meaning("`comparison`")]
    example_count: Annotated[int, _meaning("examples that were compared")]
    within_count: Annotated[int, _meaning("those that are the same as an earlier one of their own file")]
    across_count: Annotated[
        int, _meaning("those that are the same as one of an earlier file of their group, if there are groups")
    ]
    examples: Annotated[
        tuple[Mapping[str, str | int], ...],
        _meaning("the first ones of both: `file`, `line`, `same_as_file`, `same_as_line`"),
    ]
    overlaps: Annotated[
        tuple[Mapping[str, str | int], ...],
        _meaning(
            "for two groups each: `group`, its `group_example_count`, the group `beside` it, `example_count`: examples "
            "of `group` that `beside` has, `prompt_count`: those more whose prompt it has"
        ),
    ]


class KnownProfile(msgspec.Struct, frozen=True, kw_only=True):
    """A profile that `--profile` takes."""

    name: Annotated[str, _meaning("its name")]
    summary: Annotated[str, _meaning("which API it is for")]
    base_url: Annotated[str, _meaning("the address of the server")]
    purposes: Annotated[tuple[str, ...], _meaning("the purposes that it takes")]
    key_variable: Annotated[str | None, _meaning("the environment variable with the key, or null")]
    proof: Annotated[
        Mapping[str, str] | None,
        _meaning(
            "how it is known that `upload`, `list`, `settle`, `verify`, `content` and `undo` work: `vendor's SDK`, `real server`, "
            "`description`, `unproven live` or `no`; null for your own"
        ),
    ]


SHAPES: Mapping[str, type[msgspec.Struct]] = {
    "scan": ScanSummary,
    "validate": DataFinding,
    "validate --stats": DataStatistics,
    "validate --stats|validate --group": DataComparison,
    "pack": PackSummary,
    "unpack": UnpackedDifference,
    "plan": PlanSummary,
    "status": JobStatus,
    "resolve": InDoubtEntry,
    "resolve reconcile|adopt|resend|abandon": ResolvedEntry,
    "verify": ReceiptDifference,
    "undo": UndoneFile,
    "files ls": ServerFile,
    "files get": FetchedFile,
    "files rm": RemovedFile,
    "doctor": DoctorCheck,
    "config show": SettingValue,
    "profiles": KnownProfile,
}
"""The objects by command. `run`, `ledger show` and `ledger export` print the rows of docs/reference/exports.md, `control`
the status of docs/how-to/control.md."""

SINGLE = frozenset({"scan", "pack", "plan", "status", "files get"})
"""Commands that print one object; the others print one on each line."""
