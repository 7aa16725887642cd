"""The limit of open descriptors is raised where the system lets us."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

PROGRAM = (
    "import resource, sys\n"
    "from bulk_upload.edge.descriptors import raise_descriptor_limit\n"
    "resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))\n"
    "print(raise_descriptor_limit(int(sys.argv[3])), resource.getrlimit(resource.RLIMIT_NOFILE)[0])\n"
)


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "given"),
    [(64, 512, 256, 256), (64, 128, 256, 128), (512, 512, 256, 512), (128, 128, 128, 128)],
)
def test_the_soft_limit_is_raised_to_what_is_wanted_or_allowed(
    soft: int, hard: int, wanted: int, given: int
) -> None:
    """Never lowered, never beyond the hard limit."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < hard:
        pytest.skip("the hard limit here is lower than the test needs")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(soft), str(hard), str(wanted)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == [str(given), str(given)]
