"""What every benchmark needs: data, compiled programs, the cost of a process, rounds, tables."""
