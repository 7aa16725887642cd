"""The ledger as a file: location, lock, tables, identity."""
