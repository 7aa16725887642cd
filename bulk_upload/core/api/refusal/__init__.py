"""Refusals that mean something else with some vendors: the account's, a passing one, or that the file is there already."""
