"""The ledger as a file: where it lies, who has it open, its tables, whose it is."""
