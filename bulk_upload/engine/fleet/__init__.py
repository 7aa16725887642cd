"""The two ends of a fleet: the sender of a run whose agents do the work, and the agent that serves one."""
