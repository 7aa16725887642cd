"""Results of a run: tallies, log records, exports, history."""
