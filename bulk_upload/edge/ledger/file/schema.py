"""The ledger's tables. docs/reference/ledger.md describes them for readers who come with their own tools."""

from __future__ import annotations

APPLICATION_ID = 0x62756C6B
"""SQLite's application_id of a ledger: "bulk" in ASCII."""

SCHEMA_VERSION = 7

CREATE = """
CREATE TABLE job (
    job_id          INTEGER PRIMARY KEY CHECK (job_id = 1),
    profile         TEXT NOT NULL,
    endpoint        TEXT NOT NULL,
    team            TEXT,
    root            BLOB NOT NULL,
    created_utc     TEXT NOT NULL,
    last_alive_utc  TEXT NOT NULL
);
CREATE TABLE runs (
    run_id          INTEGER PRIMARY KEY,
    version         TEXT NOT NULL,
    pid             INTEGER NOT NULL,
    started_utc     TEXT NOT NULL,
    ended_utc       TEXT,
    exit_status     INTEGER
);
CREATE TABLE entries (
    entry_id            INTEGER PRIMARY KEY,
    key                 BLOB NOT NULL UNIQUE,
    path                BLOB NOT NULL,
    purpose             TEXT NOT NULL,
    remote_name         BLOB,
    vector_database_id  TEXT,
    fields              TEXT NOT NULL,
    state               TEXT NOT NULL
        CHECK (state IN ('pending', 'in_doubt', 'accepted', 'rejected', 'failed_local', 'invalid')),
    size                INTEGER,
    mtime_ns            INTEGER,
    inode               INTEGER,
    receipt_id          INTEGER REFERENCES receipts,
    attempt_count       INTEGER NOT NULL DEFAULT 0,
    http_status         INTEGER,
    reason              TEXT,
    first_seen_utc      TEXT NOT NULL,
    settled_utc         TEXT,
    CHECK (state <> 'accepted' OR receipt_id IS NOT NULL),
    CHECK ((settled_utc IS NULL) = (state IN ('pending', 'in_doubt')))
);
CREATE INDEX entries_in_doubt ON entries (entry_id) WHERE state = 'in_doubt';
CREATE TABLE attempts (
    attempt_id      INTEGER PRIMARY KEY,
    entry_id        INTEGER NOT NULL REFERENCES entries,
    run_id          INTEGER NOT NULL REFERENCES runs,
    attempt_no      INTEGER NOT NULL,
    sent_name       TEXT NOT NULL,
    size            INTEGER NOT NULL,
    mtime_ns        INTEGER NOT NULL,
    inode           INTEGER NOT NULL,
    intent_utc      TEXT NOT NULL,
    ended_utc       TEXT,
    outcome         TEXT,
    http_status     INTEGER,
    answered        INTEGER,
    reason          TEXT,
    request_id      TEXT,
    candidate_id    TEXT,
    sha256          TEXT,
    resolution      TEXT
);
CREATE UNIQUE INDEX attempts_open ON attempts (entry_id) WHERE outcome IS NULL;
CREATE INDEX attempts_in_doubt ON attempts (entry_id) WHERE outcome = 'in_doubt' AND resolution IS NULL;
CREATE TABLE receipts (
    receipt_id        INTEGER PRIMARY KEY,
    entry_id          INTEGER NOT NULL REFERENCES entries,
    attempt_id        INTEGER NOT NULL REFERENCES attempts,
    file_id           TEXT NOT NULL UNIQUE,
    sent_name         TEXT NOT NULL,
    purpose           TEXT NOT NULL,
    bytes             INTEGER NOT NULL,
    sha256            TEXT,
    mtime_ns          INTEGER NOT NULL,
    inode             INTEGER NOT NULL,
    obtained          TEXT NOT NULL,
    size_confirmed    INTEGER NOT NULL,
    server_created_at TEXT,
    settled_utc       TEXT NOT NULL,
    superseded_utc    TEXT
);
CREATE TABLE decisions (
    decision_id     INTEGER PRIMARY KEY,
    entry_id        INTEGER REFERENCES entries,
    run_id          INTEGER REFERENCES runs,
    decided_utc     TEXT NOT NULL,
    decided_by      TEXT NOT NULL,
    decision        TEXT NOT NULL,
    detail          TEXT
);
CREATE TABLE controller_events (
    event_id        INTEGER PRIMARY KEY,
    run_id          INTEGER NOT NULL REFERENCES runs,
    at_utc          TEXT NOT NULL,
    in_flight_limit INTEGER NOT NULL,
    reason          TEXT NOT NULL
);
"""

_SINCE_VERSION_2 = """
CREATE INDEX attempts_candidates ON attempts (candidate_id) WHERE candidate_id IS NOT NULL;
CREATE TABLE deletions (
    deletion_id     INTEGER PRIMARY KEY,
    run_id          INTEGER NOT NULL REFERENCES runs,
    entry_id        INTEGER NOT NULL REFERENCES entries,
    receipt_id      INTEGER REFERENCES receipts,
    file_id         TEXT NOT NULL,
    asked_by        TEXT NOT NULL,
    asked_utc       TEXT NOT NULL,
    ended_utc       TEXT,
    outcome         TEXT CHECK (outcome IN ('deleted', 'gone', 'kept')),
    reason          TEXT,
    CHECK ((ended_utc IS NULL) = (outcome IS NULL))
);
CREATE UNIQUE INDEX deletions_open ON deletions (file_id) WHERE outcome IS NULL;
CREATE INDEX deletions_of_receipts ON deletions (receipt_id) WHERE receipt_id IS NOT NULL;
"""

_VALIDATIONS = """
CREATE TABLE validations (
    entry_id        INTEGER PRIMARY KEY REFERENCES entries,
    rules           TEXT NOT NULL,
    size            INTEGER NOT NULL,
    mtime_ns        INTEGER NOT NULL,
    inode           INTEGER NOT NULL,
    line_count      INTEGER NOT NULL,
    error_count     INTEGER NOT NULL,
    warning_count   INTEGER NOT NULL,
    reason          TEXT,
    findings        TEXT NOT NULL,
    checked_utc     TEXT NOT NULL
);
"""

_LIMITS = """
ALTER TABLE controller_events ADD COLUMN starts_per_s REAL;
ALTER TABLE controller_events ADD COLUMN pause_s REAL NOT NULL DEFAULT 0;
CREATE TABLE warm_starts (
    endpoint        TEXT PRIMARY KEY,
    in_flight_limit INTEGER NOT NULL,
    starts_per_s    REAL,
    noted_utc       TEXT NOT NULL
);
"""

_BEGINNINGS = """
ALTER TABLE attempts ADD COLUMN began_utc TEXT;
"""

_SINCE_VERSION_3 = _LIMITS + _VALIDATIONS + _BEGINNINGS

# Constraints cannot be altered: the tables are made anew (https://sqlite.org/lang_altertable.html, section 7). An id is
# of one receipt that is believed, and of any number of withdrawn ones.
_WITHDRAWALS = """
CREATE TABLE entries_anew (
    entry_id            INTEGER PRIMARY KEY,
    key                 BLOB NOT NULL UNIQUE,
    path                BLOB NOT NULL,
    purpose             TEXT NOT NULL,
    remote_name         BLOB,
    vector_database_id  TEXT,
    fields              TEXT NOT NULL,
    state               TEXT NOT NULL CHECK (state IN
        ('pending', 'in_doubt', 'accepted', 'rejected', 'failed_local', 'invalid', 'withdrawn')),
    size                INTEGER,
    mtime_ns            INTEGER,
    inode               INTEGER,
    ctime_ns            INTEGER,
    receipt_id          INTEGER REFERENCES receipts,
    attempt_count       INTEGER NOT NULL DEFAULT 0,
    http_status         INTEGER,
    reason              TEXT,
    first_seen_utc      TEXT NOT NULL,
    settled_utc         TEXT,
    CHECK (state <> 'accepted' OR receipt_id IS NOT NULL),
    CHECK ((settled_utc IS NULL) = (state IN ('pending', 'in_doubt')))
);
INSERT INTO entries_anew (entry_id, key, path, purpose, remote_name, vector_database_id, fields, state, size, mtime_ns,
    inode, receipt_id, attempt_count, http_status, reason, first_seen_utc, settled_utc)
SELECT entry_id, key, path, purpose, remote_name, vector_database_id, fields, state, size, mtime_ns,
    inode, receipt_id, attempt_count, http_status, reason, first_seen_utc, settled_utc FROM entries;
DROP TABLE entries;
ALTER TABLE entries_anew RENAME TO entries;
CREATE INDEX entries_in_doubt ON entries (entry_id) WHERE state = 'in_doubt';
CREATE TABLE receipts_anew (
    receipt_id        INTEGER PRIMARY KEY,
    entry_id          INTEGER NOT NULL REFERENCES entries,
    attempt_id        INTEGER NOT NULL REFERENCES attempts,
    file_id           TEXT NOT NULL,
    sent_name         TEXT NOT NULL,
    purpose           TEXT NOT NULL,
    bytes             INTEGER NOT NULL,
    sha256            TEXT,
    mtime_ns          INTEGER NOT NULL,
    inode             INTEGER NOT NULL,
    obtained          TEXT NOT NULL,
    size_confirmed    INTEGER NOT NULL,
    server_created_at TEXT,
    settled_utc       TEXT NOT NULL,
    superseded_utc    TEXT,
    withdrawn_utc     TEXT,
    withdrawn_reason  TEXT,
    CHECK ((withdrawn_utc IS NULL) = (withdrawn_reason IS NULL))
);
INSERT INTO receipts_anew (receipt_id, entry_id, attempt_id, file_id, sent_name, purpose, bytes, sha256, mtime_ns, inode,
    obtained, size_confirmed, server_created_at, settled_utc, superseded_utc)
SELECT receipt_id, entry_id, attempt_id, file_id, sent_name, purpose, bytes, sha256, mtime_ns, inode,
    obtained, size_confirmed, server_created_at, settled_utc, superseded_utc FROM receipts;
DROP TABLE receipts;
ALTER TABLE receipts_anew RENAME TO receipts;
CREATE UNIQUE INDEX receipts_file_ids ON receipts
    (file_id, CASE WHEN withdrawn_utc IS NULL THEN 0 ELSE receipt_id END);
ALTER TABLE runs ADD COLUMN receipt_count INTEGER;
ALTER TABLE runs ADD COLUMN checked_count INTEGER;
"""

_CHANGE_TIMES = """
ALTER TABLE attempts ADD COLUMN ctime_ns INTEGER;
ALTER TABLE receipts ADD COLUMN ctime_ns INTEGER;
ALTER TABLE validations ADD COLUMN ctime_ns INTEGER;
"""

_CLOCKS = """
ALTER TABLE attempts ADD COLUMN clock_offset_s REAL;
CREATE TABLE clock_steps (
    step_id         INTEGER PRIMARY KEY,
    run_id          INTEGER NOT NULL REFERENCES runs,
    at_utc          TEXT NOT NULL,
    step_s          REAL NOT NULL
);
"""

_MANIFESTS = """
ALTER TABLE entries ADD COLUMN dropped_utc TEXT;
ALTER TABLE runs ADD COLUMN manifest BLOB;
CREATE INDEX entries_dropped ON entries (entry_id) WHERE dropped_utc IS NOT NULL;
"""

_SINCE_VERSION_4 = _WITHDRAWALS + _CHANGE_TIMES + _CLOCKS + _MANIFESTS

# Where the ledger lay: a copy has another inode, also under the same path.
_PLACES = """
ALTER TABLE runs ADD COLUMN host TEXT;
ALTER TABLE runs ADD COLUMN ledger_path BLOB;
ALTER TABLE runs ADD COLUMN ledger_inode INTEGER;
"""

_MISSING = """
ALTER TABLE receipts ADD COLUMN missing_utc TEXT;
"""

_SINCE_VERSION_5 = _PLACES + _MISSING

_BUNDLES = """
ALTER TABLE attempts ADD COLUMN bundle_id INTEGER;
"""

# What distinguishes the versions of an object in a store.
_OBJECTS = "".join(
    f"ALTER TABLE {table} ADD COLUMN {column} TEXT;\n"
    for table in ("entries", "attempts", "receipts", "validations")
    for column in ("etag", "version")
)

_AGENTS = """
ALTER TABLE runs ADD COLUMN agents_ttl_s REAL NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN agent TEXT;
"""

_SINCE_VERSION_6 = _BUNDLES + _OBJECTS + _AGENTS

# Beside sha256: which function made a hash is its column.
_SINCE_VERSION_7 = """
ALTER TABLE attempts ADD COLUMN blake3 TEXT;
ALTER TABLE receipts ADD COLUMN blake3 TEXT;
"""

CREATE += (
    _SINCE_VERSION_2
    + _SINCE_VERSION_3
    + _SINCE_VERSION_4
    + _SINCE_VERSION_5
    + _SINCE_VERSION_6
    + _SINCE_VERSION_7
)

MIGRATIONS: dict[int, str] = {
    1: _SINCE_VERSION_2,
    2: _SINCE_VERSION_3,
    3: _SINCE_VERSION_4,
    4: _SINCE_VERSION_5,
    5: _SINCE_VERSION_6,
    6: _SINCE_VERSION_7,
}
"""Script that takes a ledger from version N to N + 1, by N."""
