"""What an example holds beyond roles and texts: parts, weights, tool calls, answers."""
