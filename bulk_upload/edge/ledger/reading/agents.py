"""Which agent sent what. A ledger whose runs had none is asked nothing more for it."""

from __future__ import annotations

HAD_AGENTS = "SELECT EXISTS (SELECT 1 FROM runs WHERE agents_ttl_s > 0)"

AGENT = """
CASE WHEN r.attempt_id IS NOT NULL THEN (SELECT nullif(t.agent, '') FROM attempts t
         WHERE t.attempt_id = r.attempt_id)
     WHEN a.attempt_id IS NOT NULL THEN nullif(a.agent, '')
     WHEN e.state = 'in_doubt' THEN (SELECT nullif(t.agent, '') FROM attempts t
         WHERE t.entry_id = e.entry_id AND t.outcome = 'in_doubt' AND t.resolution IS NULL LIMIT 1) END
"""
"""The agent of a row: of its receipt `r`, its open attempt `a`, or its entry `e` in doubt."""

NO_AGENT = "NULL"
"""The same in a ledger whose runs had none."""

_COUNTS = """count(*), total(outcome = 'accepted'),
       total(CASE WHEN outcome = 'accepted' THEN CAST(size AS INTEGER) ELSE 0 END), total(outcome = 'in_doubt')
FROM attempts WHERE run_id = ?"""

AGENTS = f"SELECT agent, {_COUNTS} AND agent <> '' GROUP BY agent ORDER BY agent"

ITSELF = f"SELECT '', {_COUNTS} AND agent IS NULL"
"""The same of what a run sent itself."""
