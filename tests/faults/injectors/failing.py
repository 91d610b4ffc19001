"""A disk whose fsync fails: an ext4 image that claims more than the tmpfs below it has.

When the tmpfs is full, the device answers writes with an I/O error. fsync gets it, EIO, and usually only once: the next one says
that all is well (Rebello et al., ATC 2020), which is why a program must believe the first.
"""

import os

from .disks import LoopDisk
from .scope import unmount
from .system import needs_root, permitted

# Enough for a node to start on: file system, first segments of the log, a little more.
BACKING_MIB = 96


class FailingDisk(LoopDisk):
    """Works until `break_it`, which takes what the tmpfs has left."""

    def __init__(self, scope, name, size_mib=256, backing_mib=BACKING_MIB):
        needs_root("a tmpfs")
        self.backing = scope.directory / f"{name}.tmpfs"
        self.backing.mkdir()
        options = f"size={backing_mib}m"
        permitted("mount", "-t", "tmpfs", "-o", options, scope.name, self.backing)
        scope.defer(unmount, self.backing)
        super().__init__(scope, name, size_mib, directory=self.backing)

    def break_it(self):
        """From now on no block that was never written can be written."""
        with open(self.backing / "ballast", "wb", buffering=0) as file:
            piece = bytes(1 << 20)
            while piece:
                try:
                    written = file.write(piece)
                except OSError:
                    written = 0
                if written < len(piece):
                    piece = piece[: len(piece) // 2]

    def thaw(self):
        pass

    def room(self):
        """Bytes that the tmpfs still has."""
        found = os.statvfs(self.backing)
        return found.f_bavail * found.f_frsize
