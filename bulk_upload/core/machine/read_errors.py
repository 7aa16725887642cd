"""Which errors of a read are about the file system, and may be gone when the file is opened again."""

from __future__ import annotations

import errno

_TRANSIENT = {
    errno.EIO: "a disk or a network failed for a moment; a soft NFS or SMB mount says it after its time limit",
    errno.ESTALE: "a file server has forgotten its handles: it restarted, or its volume moved to another server",
    errno.EAGAIN: "a file system was busy, and asks for another try",
    errno.EBUSY: "the same, in the words of some FUSE and cluster file systems",
    errno.EINTR: "a signal reached a FUSE file system in the middle of its work",
    errno.ETIMEDOUT: "a file server did not answer in time",
    errno.ENODEV: "the device is gone: a disk that was detached, a mount that is being replaced",
    errno.ENXIO: "the device does not answer",
    errno.ENOLINK: "the path to a device or a file server is down",
    errno.EHOSTDOWN: "the file server is down",
    errno.EHOSTUNREACH: "there is no way to the file server",
    errno.ENETDOWN: "the network is down",
    errno.ENETUNREACH: "there is no network",
    errno.ENETRESET: "the network dropped the connection to the file server",
    errno.ENOTCONN: "the program behind a FUSE mount has ended, or is being started",
    errno.ECONNREFUSED: "the file server is being started",
    errno.ECONNRESET: "the file server closed the connection",
    errno.ECONNABORTED: "the connection of a FUSE mount was given up",
    errno.ESHUTDOWN: "the connection to the file server, or the file system, was shut down",
    # Linux alone has it.
    getattr(errno, "EREMOTEIO", errno.EIO): "a storage target failed the read",
}
"""Errors by number, each with what it stands for (Linux man-pages, errno(3) and nfs(5)). Shortages of this machine
are in `shortage`; every other error (no such file, no permission, a loop of links) is about the file itself."""


def is_transient(error: OSError) -> bool:
    """Whether an error is about the file system and not about the file, so that another try may succeed."""
    return error.errno in _TRANSIENT
