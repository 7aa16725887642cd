"""Commands about the agents of a run."""
