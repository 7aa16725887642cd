"""Which journal a ledger gets, by the file system of its folder."""

from __future__ import annotations

import pytest

from bulk_upload.core.machine.file_systems import Journal, file_system_of, journal_for

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/a /mnt/nfs nfs4 rw 0 0
/dev/sdb1 /mnt/nfs/local ext4 rw 0 0
//nas/share /mnt/with\\040space\\134and\\011tab cifs rw 0 0
broken line
tmpfs /mnt/over tmpfs rw 0 0
host:/x /mnt/over fuse.sshfs rw 0 0
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/home/a", "ext4"),
        ("/mnt/nfs/a", "nfs4"),
        ("/mnt/nfs/deep/er/a", "nfs4"),
        ("/mnt/nfs/local/a", "ext4"),
        ("/mnt/nfsish/a", "ext4"),
        ("/mnt/with space\\and\ttab/a", "cifs"),
        ("/mnt/over/a", "fuse.sshfs"),
    ],
)
def test_the_deepest_mount_decides(folder: str, kind: str) -> None:
    """The mount that holds the folder decides: the deepest one, of two at one place the later one."""
    assert file_system_of(folder, MOUNTS.splitlines()) == kind


def test_no_list_of_mounts() -> None:
    """Where the system tells nothing, nothing is guessed."""
    assert file_system_of("/mnt/nfs/a", []) is None


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "fuse", "fuse.sshfs", "lustre"]
)
def test_what_may_be_shared_gets_a_rollback_journal(kind: str) -> None:
    """Network file systems and FUSE cannot be relied on for shared memory."""
    assert journal_for(kind) is Journal.ROLLBACK


@pytest.mark.parametrize("kind", [None, "ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "apfs", "fuseblk"])
def test_a_local_disk_gets_a_log(kind: str | None) -> None:
    """Everything else has a write-ahead log, under which readers and the run do not wait for each other."""
    assert journal_for(kind) is Journal.WAL
