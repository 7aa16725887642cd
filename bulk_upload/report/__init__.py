"""What a person sees: events and ledger rows as text, tables and files."""
