"""The world, one resource a module: disk, network, ledger, clock, signals. Decisions live in `core`."""
