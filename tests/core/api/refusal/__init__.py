"""Refusals that mean something else with some vendors."""
