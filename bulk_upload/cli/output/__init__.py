"""Where a command writes: streams, the status line, logs, the metrics file."""
