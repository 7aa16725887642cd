"""What people get wrong: a command, the exit code it must end with, and what its message must say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bulk_upload.exit_status import ExitStatus
from tests.cli.stage import KEY

USAGE = ExitStatus.USAGE
INVALID = ExitStatus.INVALID_INPUT
LEDGER = ExitStatus.LEDGER_UNUSABLE

ENTRY = '{"path": "data/a.jsonl", "purpose": "pre-train"}'


@dataclass(frozen=True, slots=True)
class Mistake:
    """A command, the code it must end with, and what its message must say; `files` are laid out before."""

    arguments: tuple[str, ...]
    status: ExitStatus
    says: tuple[str, ...]
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    env: Mapping[str, str | None] = field(default_factory=dict)


def manifest(
    content: str | bytes, *says: str, status: ExitStatus = INVALID, name: str = "m.jsonl"
) -> Mistake:
    """A run of a manifest that is wrong: the message names it."""
    return Mistake(("run", name), status, (name, *says), files={name: content})


def run(*arguments: str, status: ExitStatus = USAGE, says: tuple[str, ...], **env: str | None) -> Mistake:
    """A run of a good manifest with something wrong around it."""
    return Mistake(("run", "good.jsonl", *arguments), status, says, env=env)


MANIFEST_MISTAKES = {
    "wrong purpose": manifest(
        ENTRY.replace("pre-train", "pretrain"), ":1", "[purpose]", '"pretrain"', 'Did you mean "pre-train"?'
    ),
    "missing file": manifest(ENTRY.replace("a.jsonl", "z.jsonl"), ":1", '"data/z.jsonl"', "--root"),
    "bad JSON on line 7": manifest(
        f"{ENTRY}\n" + "\n" * 5 + '{"path": "a", purpose: ', ":7", "not valid JSON"
    ),
    "CSV with a wrong header": manifest(
        "file,purpose\ndata/a.jsonl,pre-train\n", ":1", '"file"', "path,purpose", name="m.csv"
    ),
    "CSV without a header": manifest(
        "data/a.jsonl,pre-train\n", ":1", "not a header", "path,purpose", name="m.csv"
    ),
    "unknown field": manifest(
        ENTRY.replace("}", ', "pourpose": "x"}'), ":1", '"pourpose"', 'Did you mean "purpose"?'
    ),
    "duplicate entries": manifest(f"{ENTRY}\n{ENTRY}\n", ":2", "already on line 1", "Remove one"),
    "/etc/passwd": manifest(ENTRY.replace("data/a.jsonl", "/etc/passwd"), ":1", '"/etc/passwd"', "--root"),
    "path that climbs": manifest(ENTRY.replace("data/a.jsonl", "../a.jsonl"), ":1", '"../a.jsonl"', "--root"),
    "symbolic link that leads out": manifest(
        ENTRY.replace("data/a.jsonl", "link"), ":1", '"link"', "symbolic link", "--follow-symlinks"
    ),
    "folder as an entry": manifest(
        ENTRY.replace("/a.jsonl", ""), ":1", '"data" is a folder', "remove the line"
    ),
    "pipe as an entry": manifest(ENTRY.replace("data/a.jsonl", "fifo"), ":1", '"fifo" is a named pipe'),
    "no purpose": manifest('{"path": "data/a.jsonl"}', ":1", 'no "purpose"', "--purpose"),
    "empty manifest": manifest("", "is empty", '{"path"'),
    "blank manifest": manifest("\n\n", "is empty", '{"path"'),
    "JSON array": manifest(f"[{ENTRY}]", ":1", "JSON array", "bulk-upload convert "),
    "parquet as a manifest": manifest(b"PAR1\x15\x04\x15\x00", "a parquet file", "JSON Lines or CSV"),
    "zip as a manifest": manifest(b"PK\x03\x04\x14\x00\x00", "a zip archive", "JSON Lines or CSV"),
    "manifest is missing": Mistake(
        ("run", "nope.jsonl"), USAGE, ('"nope.jsonl"', "No such file", "bulk-upload scan")
    ),
    "folder that is missing": Mistake(("./nope",), USAGE, ('"./nope"', "No such file", "current folder")),
    "plan of a missing manifest": Mistake(("plan", "nope.jsonl"), USAGE, ('"nope.jsonl"', "No such file")),
}

KEY_MISTAKES = {
    "no key": run(says=("no API key", "SEEKR_API_KEY", "--api-key-file"), SEEKR_API_KEY=None),
    "key of spaces": run(says=("no API key", "SEEKR_API_KEY"), SEEKR_API_KEY="  "),
    "key with Bearer": run(says=("SEEKR_API_KEY", "`Bearer`", "remove"), SEEKR_API_KEY=f"Bearer {KEY}"),
    "key with a space": run(says=("SEEKR_API_KEY", "characters", "again"), SEEKR_API_KEY=f"{KEY} {KEY}"),
    "key of two lines": run(says=("SEEKR_API_KEY", "several lines"), SEEKR_API_KEY=f"{KEY}\n{KEY}"),
    "key in quotes": run(says=("SEEKR_API_KEY", "in quotes", "remove"), SEEKR_API_KEY=f'"{KEY}"'),
    "key file that others can read": run(
        "--api-key-file", "open.key", says=("others can read", "open.key", "chmod 600 open.key")
    ),
    "key file that is missing": run(
        "--api-key-file", "no.key", says=("no.key", "No such file", "--api-key-file")
    ),
    "key file that is empty": run("--api-key-file", "empty.key", says=("empty.key", "is empty")),
    "key file with Bearer": run("--api-key-file", "bearer.key", says=("bearer.key", "`Bearer`", "remove")),
    "key on the command line": run(f"--api-key={KEY}", says=("--api-key", "SEEKR_API_KEY", "--api-key-file")),
    "key as a word of its own": run("--api-key", KEY, says=("--api-key", "SEEKR_API_KEY", "--api-key-file")),
}

WORD_MISTAKES = {
    "training data for a manifest": manifest(
        '{"messages": []}\n',
        "m.jsonl:1",
        "looks like training data",
        "bulk-upload scan",
        "`bulk-upload m.jsonl --purpose PURPOSE` uploads",
    ),
    "an option before its command": Mistake(
        ("--quiet", "run", "good.jsonl"), USAGE, ("--quiet", "`bulk-upload run MANIFEST --quiet")
    ),
    "a rule that is not one": run(
        "--ignore", "last-rule", says=("'last-rule' is not a rule", "last-role", "docs/how-to/validation.md")
    ),
    "a rule that cannot be ignored": run("--ignore", "unreadable", says=("unreadable cannot be ignored",)),
    "no shell to complete for": Mistake(("completion",), USAGE, ("Choose from: bash, zsh, fish", "examples")),
    "a scan of nothing": Mistake(("scan",), USAGE, ("'DIR'", "`bulk-upload scan --help`")),
}

ADDRESS_MISTAKES = {
    "bad URL": run("--base-url", "htp:/x", says=("htp:/x", "--base-url looks like https://")),
    "URL without a scheme": run("--base-url", "flow.example", says=("flow.example", "https://")),
    "URL that is empty": run("--base-url", "", says=("--base-url", "empty", "variable")),
    "http to another machine": run(
        "--base-url", "http://flow.example", says=("unencrypted", "http://flow.example", "--allow-plain-http")
    ),
    "user and password in the URL": run(
        "--base-url", f"http://me:{KEY}@127.0.0.1", says=("password", "remove it", "SEEKR_API_KEY")
    ),
}

LEDGER_MISTAKES = {
    "folder of the ledger is missing": run(
        "--ledger", "nope/x.db", status=LEDGER, says=("nope", "does not exist", "--ledger")
    ),
    "ledger of another program": run("--ledger", "other.db", status=LEDGER, says=("other.db", "--ledger")),
    "ledger is the manifest": run(
        "--ledger", "good.jsonl", status=LEDGER, says=("good.jsonl", "not a", "--ledger")
    ),
    "ledger is a folder": run("--ledger", "data", status=LEDGER, says=("data", "--ledger")),
    "manifest on stdin without a ledger": Mistake(("run", "-"), USAGE, ("standard input", "--ledger FILE")),
    "status of no ledger": Mistake(("status", "no.db"), LEDGER, ("no ledger at", "no.db", "bulk-upload run")),
    "show of no ledger": Mistake(("ledger", "show", "no.db"), LEDGER, ("no ledger at", "no.db")),
    "export of no ledger": Mistake(("ledger", "export", "no.db"), LEDGER, ("no ledger at", "no.db")),
    "status of a manifest": Mistake(
        ("status", "good.jsonl"), LEDGER, ("good.jsonl", "not a ledger", "manifest")
    ),
    "verify of a manifest that was run": Mistake(
        ("verify", "good.jsonl"),
        LEDGER,
        ("good@127.0.0.1-8099.ledger.db is an empty file, not a ledger",),
        files={"good@127.0.0.1-8099.ledger.db": ""},
    ),
    "verify of a manifest with two ledgers": Mistake(
        ("verify", "good.jsonl"),
        USAGE,
        (
            "has 2 ledgers: good.ledger.db, good@127.0.0.1-8099.ledger.db",
            "give one of them: `bulk-upload verify ",
        ),
        files={"good@127.0.0.1-8099.ledger.db": "", "good.ledger.db": ""},
    ),
    "status of a folder without a ledger": Mistake(
        ("status", "data"), LEDGER, ("no ledger for the folder data", "give a ledger")
    ),
    "export into a missing folder": Mistake(
        ("ledger", "export", "empty.db", "-o", "nope/x.csv"), USAGE, ("nope/x.csv", "No such file", "-o")
    ),
}

OPTION_MISTAKES = {
    "bad duration": run(
        "--deadline", "5x", says=("--deadline", "'5x'", "30s, 15m or 2h", "without a unit is seconds")
    ),
    "a letter before the command": Mistake(
        ("-q", "run", "good.jsonl"), USAGE, ("`bulk-upload run MANIFEST --quiet",)
    ),
    "no time at all": run("--stall", "0s", says=("--stall", "'0s'", "30s")),
    "bad least rate": run("--min-rate", "fast", says=("--min-rate", "'fast'", "10kB/s or off")),
    "bad count": run("--max-errors", "many", says=("--max-errors", "'many'", "20 or 5%")),
    "bad share": run("--max-errors", "120%", says=("--max-errors", "'120%'", "100%")),
    "bad number": run("--concurrency", "0", says=("--concurrency", "1<=x<=1024", "--help")),
    "bad word for --retry": run(
        "--retry", "rejcted", says=("--retry", "'rejcted'", "rejected,failed,invalid,withdrawn")
    ),
    "bad word for --in-doubt": run("--in-doubt", "maybe", says=("--in-doubt", "'maybe'", "reconcile")),
    "unknown default purpose": run("--purpose", "fintune", says=('"fintune"', 'Did you mean "fine-tune"?')),
    "root that does not exist": run("--root", "nope", says=('"nope"', "No such file", "--root")),
    "root that is a file": run("--root", "good.csv", says=('"good.csv"', "Not a directory", "--root")),
    "results in a missing folder": run("--results", "nope/r.jsonl", says=("nope/r.jsonl", "--results")),
    "results onto a folder": run("--results", "data", says=("data", "directory", "--results")),
    "unknown option": run("--concurency", "4", says=("'--concurency'", "'--concurrency'", "--help")),
    "two manifests": run("good.csv", says=("good.csv", "bulk-upload run --help")),
    "no manifest": Mistake(("run",), USAGE, ("MANIFEST", "bulk-upload run --help")),
    "unknown command": Mistake(("rnu",), USAGE, ('"rnu"', 'Did you mean "run"?', "--help")),
    "command of other tools": Mistake(("upload", "good.jsonl"), USAGE, ('"upload"', 'Did you mean "run"?')),
    "misspelt command that is near another word": Mistake(
        ("serv",), USAGE, ('"serv"', 'Did you mean "serve"?')
    ),
    "misspelt command of other tools": Mistake(
        ("uplaod", "good.jsonl"), USAGE, ('"uplaod"', 'Did you mean "run"?')
    ),
    "unknown command of a group": Mistake(
        ("ledger", "exprot"), USAGE, ('"exprot"', 'Did you mean "export"?', "ledger --help")
    ),
    "unknown format": Mistake(("ledger", "export", "x", "--format", "xls"), USAGE, ("'xls'", "csv", "jsonl")),
}

OTHER_TOOLS = {
    option: run(option, says=(f"No such option '{option}'.", says))
    for option, says in {
        "--resume": "run the same command again",
        "--continue": "run the same command again",
        "--output": "--results FILE",
        "--overwrite": "--retry",
        "--retries": "--max-attempts",
        "--max-retries": "--max-attempts",
        "--limit-rate": "--bandwidth 10MB/s",
        "--bwlimit": "--bandwidth 10MB/s",
        "--timeout": "--stall 60s",
        "--url": "--base-url URL",
        "--endpoint": "--base-url URL",
        "--debug": "-vv",
        "--no-validate": "--validate off",
        "--skip-validation": "--ignore RULE",
        "--type": "--purpose P",
        "--workers": "--concurrency N",
        "--threads": "--concurrency N",
        "--parallel": "--concurrency N",
        "-j": "--concurrency N",
        "--recursive": "subfolders are always read",
    }.items()
}

PLACE_MISTAKES = {
    "training data with a purpose": Mistake(
        ("run", "chat.jsonl", "--purpose", "fine-tune"), INVALID,
        ("looks like training data", "`bulk-upload chat.jsonl --purpose fine-tune` uploads", "bulk-upload scan"),
        files={"chat.jsonl": '{"messages": [{"role": "user", "content": "a"}]}\n' * 30},
    ),
    "training data to plan": Mistake(
        ("plan", "data/a.jsonl"), INVALID, ("`bulk-upload data/a.jsonl --purpose PURPOSE --dry-run` shows the plan",)
    ),
    "training data named like a command": Mistake(
        ("run", "demo"), INVALID, ("`bulk-upload ./demo --purpose",), files={"demo": '{"messages": []}\n'}
    ),
    "the ledger of another server": Mistake(
        ("status", "jobs.ledger.db"), LEDGER, ("one ledger for each server", "there is jobs@127.0.0.1-1.ledger.db"),
        files={"jobs@127.0.0.1-1.ledger.db": ""},
    ),
    "an option without its value": Mistake(
        ("data", "--exclude"), USAGE, ("'--exclude' requires an argument", "--help of the command")
    ),
    "training data for a ledger": Mistake(("status", "data/a.jsonl"), LEDGER, ("data/a.jsonl", "not a ledger")),
    "training data to verify": Mistake(("verify", "data/a.jsonl"), LEDGER, ("data/a.jsonl", "not a ledger")),
    "several manifests, as from *.jsonl": run(
        "data/a.jsonl", "data/b.jsonl", says=("takes one manifest", "bulk-upload scan FOLDER")
    ),
    "address for a manifest": Mistake(
        ("run", "https://flow.example/v1"), USAGE, ('"https://flow.example/v1"', "--base-url URL")
    ),
    "address to validate": Mistake(("validate", "https://flow.example/a"), USAGE, ("path on this machine",)),
    "address for a ledger": Mistake(
        ("ledger", "show", "https://flow.example"), LEDGER, ("https://flow.example", "--base-url URL")
    ),
    "address of a bucket": Mistake(("plan", "s3://bucket/m.jsonl"), USAGE, ("s3://bucket", "download")),
    "address to scan": Mistake(
        ("scan", "https://flow.example", "--map", "*=pre-train"), USAGE, ("path on this machine",)
    ),
    "file to scan": Mistake(
        ("scan", "good.jsonl", "--map", "*=pre-train"), USAGE, ('"good.jsonl"', "Not a directory", "`bulk-upload good.jsonl` uploads a file")
    ),
    "ledger for a manifest": Mistake(("run", "other.db"), INVALID, ("other.db", "SQLite", "JSON Lines or CSV", "bulk-upload status LEDGER")),
    "dry run of a plan": Mistake(("plan", "good.jsonl", "--dry-run"), USAGE, ("sends nothing", "leave the option out")),
    "port of the live page": Mistake(
        ("serve", "l.db", "--port", "8080"), USAGE, ("No such option '--port'", "--address 8080")
    ),
    "dry run of a rebuild": Mistake(
        ("ledger", "rebuild", "good.jsonl", "--dry-run"), USAGE, ("sends and deletes nothing", "leave the option out")
    ),
    "profile of a ledger": Mistake(
        ("verify", "l.db", "--profile", "openai"), USAGE, ("No such option '--profile'.\n", "takes it from the ledger")
    ),
    "address of a ledger's server": Mistake(
        ("undo", "l.db", "--base-url", "http://127.0.0.1:1"), USAGE, ("takes it from the ledger", "leave the option out")
    ),
    "dry run of a validation": Mistake(
        ("validate", "good.jsonl", "--dry-run"), USAGE, ("sends nothing", "leave the option out")
    ),
    "results twice": run("--json", "--results", "r.jsonl", says=("--json is --results -", "give one of them")),
    "manifest and summary on stdout": Mistake(
        ("scan", "data", "--map", "*=pre-train", "--json"), USAGE, ("--json", "-o FILE")
    ),
    "two ledgers": Mistake(("status", "a.db", "b.db"), USAGE, ("`bulk-upload status` takes",)),
    "no ledger": Mistake(("verify",), USAGE, ("LEDGER", "bulk-upload verify --help")),
    "no folder": Mistake(("scan", "--map", "*=pre-train"), USAGE, ("DIR", "bulk-upload scan --help")),
    "nothing to validate": Mistake(("validate",), USAGE, ("MANIFEST", "bulk-upload validate --help")),
    "header that is wrong": manifest(
        '{"bulk_upload_manifest": 1, "roots": "x"}\n' + ENTRY, "m.jsonl:1: the header is wrong", "roots", "bulk-upload scan"
    ),
    "header of another version": manifest('{"bulk_upload_manifest": 9}\n' + ENTRY, "version 9 is not known"),
    "header only": manifest('{"bulk_upload_manifest": 1}\n', "has a header only", '{"path"'),
    "most files are missing": manifest(
        "".join(f"{ENTRY.replace('a.jsonl', name)}\n" for name in ("a.jsonl", "y.jsonl", "z.jsonl")),
        "2 of 3 files are missing or unreadable; nothing was sent", "the disk is mounted", "--root",
    ),
    "a missing file among others, strictly": Mistake(
        ("run", "m.jsonl", "--strict-paths"), INVALID, ("m.jsonl:3 [path]", "has 1 problem; nothing was sent"),
        files={
            "m.jsonl": "".join(f"{ENTRY.replace('a.jsonl', name)}\n" for name in ("a.jsonl", "b.jsonl", "z.jsonl"))
        },
    ),
    "purposes mixed up": manifest(
        ENTRY.replace("pre-train", "fine-tune"),
        "this is pre-train data", "the first fine-tune file is of another purpose", "--ignore purpose-mismatch",
    ),
    "map without a purpose": Mistake(("scan", "data", "--map", "*.jsonl"), USAGE, ("*.jsonl", "PATTERN=PURPOSE")),
    "map to an unknown purpose": Mistake(
        ("scan", "data", "--map", "*.jsonl=finetune"), USAGE, ('"finetune"', 'Did you mean "fine-tune"?')
    ),
    "map that matches nothing": Mistake(("scan", "data", "--map", "*.txt=alignment"), USAGE, ("matches a --map", "Quote")),
}  # fmt: skip

NAME_MISTAKES = {
    f"another name: {' '.join(arguments)}": Mistake(arguments, USAGE, (f'"{arguments[-1]}". Did you mean "{meant}"?',))
    for arguments, meant in (
        (("version",), "--version"),
        (("files", "delete"), "rm"),
        (("files", "list"), "ls"),
        (("files", "download"), "get"),
        (("config", "get"), "show"),
        (("ledger", "list"), "show"),
        (("ledger", "restore"), "rebuild"),
    )
} | {
    "folder to convert": Mistake(
        ("convert", "data", "--purpose", "fine-tune"), USAGE, ("data is a folder", "bulk-upload convert data/*.jsonl")
    ),
}  # fmt: skip

LETTER_MISTAKES = {
    f"{' '.join(arguments[:2])}: {letter}": Mistake((*arguments, letter), USAGE, (f"No such option '{letter}'", says))
    for arguments, letter, says in (
        (("run", "good.jsonl"), "-q", "did you mean --quiet?"),
        (("run", "good.jsonl"), "-n", "did you mean --dry-run?"),
        (("run", "good.jsonl"), "-l", "did you mean --ledger?"),
        (("run", "good.jsonl"), "-b", "did you mean --base-url, --bundle, --bandwidth or --bell?"),
        (("run", "good.jsonl"), "-z", "`bulk-upload run --help` lists the options"),
        (("./data",), "-q", "did you mean --quiet?"),
        (("scan", "data"), "-x", "did you mean --exclude?"),
        (("status", "l.db"), "-j", "did you mean --json?"),
        (("validate", "good.jsonl"), "-j", "did you mean --jobs or --json?"),
        (("convert", "good.jsonl"), "-p", "did you mean --purpose?"),
        (("ledger", "show", "l.db"), "-n", "did you mean --limit?"),
        (("sandbox",), "-d", "did you mean --dir?"),
        (("files", "ls"), "-k", "did you mean --api-key-file?"),
    )
}  # fmt: skip

UNIT_MISTAKES = {
    "size without a unit": run("--compare-max", "10", says=("'10' has no unit", "64MiB or 1GB")),
    "size in words": run("--compare-max", "much", says=("--compare-max", "'much'", "64MiB or 1GB")),
    "bandwidth without a unit": run("--bandwidth", "10", says=("'10' has no unit", "10MB/s")),
    "bandwidth without a time": run("--bandwidth", "10MB", says=("'10MB' has no unit of time", "10MB/s")),
    "bandwidth in bits": run("--bandwidth", "20Mbit/s", says=("looks like bits", "2.5MB/s")),
    "rate without a time": run("--rate", "5", says=("'5' has no unit of time", "5/s, 20/min")),
    "least rate without a time": run("--min-rate", "10kB", says=("'10kB' has no unit of time", "10kB/s")),
    "rate of zero": run("--rate", "0/s", says=("--rate", "`control --pause`")),
    "duration in weeks": run("--patience", "1week", says=("--patience", "'1week'", "30s, 15m or 2h")),
    "attempts of zero": run("--max-attempts", "0", says=("--max-attempts", "1<=x<=1000")),
    "unknown validation": run("--validate", "yes", says=("--validate", "'yes'", "ahead", "off")),
    "unknown check": run("--confirm", "no", says=("--confirm", "'no'", "list", "off")),
    "unknown hash": run("--hash", "md5", says=("--hash", "'md5'", "sha256")),
    "unknown profile": run("--profile", "cohere", says=("there is no profile", "'cohere'", "flow")),
    "no such job": run("--job", "nightly", says=("both MANIFEST and --job",)),
    "no settings file": run("--config", "nope.toml", says=("nope.toml", "No such file", "--config")),
}

MISTAKES = (
    MANIFEST_MISTAKES | WORD_MISTAKES | KEY_MISTAKES | ADDRESS_MISTAKES | LEDGER_MISTAKES | OPTION_MISTAKES
    | OTHER_TOOLS | PLACE_MISTAKES | NAME_MISTAKES | LETTER_MISTAKES | UNIT_MISTAKES
)  # fmt: skip
