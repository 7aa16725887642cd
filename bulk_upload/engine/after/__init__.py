"""Operations on a job after its runs: verify, undo, resolve."""
