"""Agents: processes and machines that read and send for one run, which alone decides and records."""
