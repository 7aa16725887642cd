"""Files for people and programs: exports, results, logs, metrics."""
