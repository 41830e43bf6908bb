"""A filesystem of a few megabytes, for tests that fill it.

A tmpfs in a mount namespace of this process and its children. root may do
that, and others where user namespaces are allowed; else it is an error, so
that such a test never passes without its disk.
"""

import ctypes
import os
import pathlib

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_REC, MS_PRIVATE = 0x4000, 1 << 18
MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)
_own_mounts = False


def _check(result, what):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}; a test of a full "
                      "disk needs root or user namespaces")


def own_mounts():
    """Once, in the main thread, before anything else is started."""
    global _own_mounts
    if _own_mounts:
        return
    user, group = os.getuid(), os.getgid()
    flags = CLONE_NEWNS | (0 if user == 0 else CLONE_NEWUSER)
    _check(_libc.unshare(flags), "unshare")
    if user != 0:
        pathlib.Path("/proc/self/setgroups").write_text("deny")
        pathlib.Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        pathlib.Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    _check(_libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None),
           "private mounts")
    _own_mounts = True


class SmallDisk:
    """Mounted on `folder` until close."""

    def __init__(self, folder, megabytes):
        own_mounts()
        self.path = pathlib.Path(folder)
        self.path.mkdir(parents=True, exist_ok=True)
        self._filler = self.path / "filler"
        _check(_libc.mount(b"tmpfs", bytes(self.path), b"tmpfs", 0,
                           f"size={megabytes}m".encode()), "mount")

    def free_bytes(self):
        stats = os.statvfs(self.path)
        return stats.f_bavail * stats.f_frsize

    def fill(self, leave=0):
        """Takes all room but `leave` bytes, as another program would."""
        descriptor = os.open(self._filler,
                             os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            while (room := self.free_bytes() - leave) > 0:
                if os.write(descriptor, bytes(min(room, 1 << 20))) == 0:
                    break
        except OSError:
            pass  # full
        finally:
            os.close(descriptor)

    def free(self):
        self._filler.unlink()

    def close(self):
        _libc.umount2(bytes(self.path), MNT_DETACH)
