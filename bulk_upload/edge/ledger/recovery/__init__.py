"""What a ledger does not know: files that another copy of it sent, or that it sent before it was lost."""
