"""What a run adds up to: tallies, log records, exports, history."""
