"""The workloads of `run.py`, and the scripts that some of them start."""
