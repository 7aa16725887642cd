"""All I/O, one resource per module: disk, network, ledger, clock, signals. Decisions live in `core`."""
