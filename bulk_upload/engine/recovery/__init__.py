"""Files at the server that a ledger lacks receipts for: noticed before a run sends, and taken up by a rebuild."""
