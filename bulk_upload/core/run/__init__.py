"""Decisions of a run and of what follows it: plan, retry, reconcile, resolve, verify."""
