"""The world of a run, in memory and on virtual time: clock, files, server, transport, ledger, plan."""
