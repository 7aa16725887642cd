"""Limits at work: slots, bandwidth, occupancy, stop rules, drain."""
