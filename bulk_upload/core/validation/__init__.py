"""Validation: what a data file must hold, and what is wrong with one."""
