"""Output: events and ledger rows as text, tables and files."""
