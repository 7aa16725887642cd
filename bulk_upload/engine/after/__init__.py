"""What a job's ledger is for after its runs: verify, undo, resolve."""
