"""A ledger that fails while old doubts are resolved."""

from __future__ import annotations

from tests.engine.test_job_machine import JobMachine


def test_doubts_whose_ledger_fails_hold_nothing_at_the_end() -> None:
    """The run ends, and its entries stay in doubt with no key held for them."""
    state = JobMachine()
    state.begin(seed=0, twin_size=0)
    state.run_into_a_mishap(durable=False, kills=False, step_no=4)
    state.run_into_a_mishap(durable=False, kills=False, step_no=2)
    state.teardown()
