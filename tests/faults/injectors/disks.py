"""A node's own disk: ext4 in a loop image on the real disk. Frozen, full, and copied while the power is cut.

A power cut of several nodes at one instant:

    stop all (SIGSTOP)  ->  copy each image, sparse  ->  kill -9  ->  mount the copies (the journal replays)  ->  boot

The copy has what had reached the device, and nothing of what was only in the page cache: what had been synced is there, what
had not is gone. The processes are stopped so that all copies are of one moment; they cannot know that it comes.
"""

import contextlib
import os
import pathlib
import threading

from .scope import unmount
from .system import needs, needs_root, permitted, run

# Room for a log, which is prepared in segments of 16 MiB, and for snapshots.
SIZE_MIB = 256
# No freeze lasts longer, whatever becomes of the test that made it.
LONGEST_FREEZE = 60


class LoopDisk:
    """ext4 in an image of its own, mounted at `point`."""

    def __init__(self, scope, name, size_mib=SIZE_MIB, directory=None):
        needs_root("a loop mount")
        needs("losetup", "mkfs.ext4", "mount")
        self.scope = scope
        self.name = name
        self.generation = 0
        self.image = (directory or scope.directory) / f"{name}.img"
        self.point = scope.directory / f"{name}.disk"
        self.point.mkdir(exist_ok=True)
        self.device = None
        with open(self.image, "wb") as image:
            image.truncate(size_mib << 20)
        permitted("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1", self.image)
        scope.defer(self.unmount)
        self.mount()

    def mount(self):
        """Puts the image under `point`; a journal that is not empty is replayed by that."""
        device = permitted("losetup", "--find", "--show", self.image).strip()
        try:
            permitted("mount", "-t", "ext4", device, self.point)
        except Exception:
            run("losetup", "--detach", device)
            raise
        self.device = device

    def unmount(self):
        if self.device:
            unmount(self.point)
            run("losetup", "--detach", self.device, check=False)
            self.device = None

    # --- the power

    def copy_image(self):
        """What the device has at this moment, as a further image; to be taken while its users are stopped."""
        self.generation += 1
        copy = self.image.with_name(f"{self.name}.{self.generation}.img")
        run("cp", "--sparse=always", self.image, copy)
        return copy

    def boot_from(self, copy):
        """Drops what is mounted with all that never reached the device, and mounts the copy instead."""
        self.unmount()
        os.unlink(self.image)
        self.image = copy
        self.mount()

    # --- frozen

    @contextlib.contextmanager
    def frozen(self, at_most=LONGEST_FREEZE):
        """Writes and syncs hang; all else of the process goes on. A timer thaws it, should nobody else."""
        timer = threading.Timer(at_most, self.thaw)
        timer.daemon = True
        permitted("fsfreeze", "--freeze", self.point)
        self.scope.defer(self.thaw)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            self.thaw()

    def thaw(self):
        run("fsfreeze", "--unfreeze", self.point, check=False)

    # --- full

    @contextlib.contextmanager
    def full(self):
        """No block is free until the block is left: a file takes all there are."""
        ballast = self.point / "ballast"
        try:
            self.fill(ballast)
            yield
        finally:
            ballast.unlink(missing_ok=True)

    def fill(self, ballast):
        piece = 16 << 20
        with open(ballast, "ab", buffering=0) as file:
            while piece:
                try:
                    os.posix_fallocate(file.fileno(), file.tell(), piece)
                    file.seek(0, os.SEEK_END)
                except OSError:
                    piece //= 2
        os.sync()

    def free_bytes(self):
        found = os.statvfs(self.point)
        return found.f_bavail * found.f_frsize

    @property
    def number(self):
        """major:minor of the loop device."""
        found = pathlib.Path(self.device).stat().st_rdev
        return f"{os.major(found)}:{os.minor(found)}"


def cut_power(disks, processes):
    """All of them at one instant; see the head of this file. The nodes are to be started again afterwards."""
    for process in processes:
        process.pause()
    try:
        copies = [disk.copy_image() for disk in disks]
    finally:
        for process in processes:
            process.kill9()
    for disk, copy in zip(disks, copies, strict=True):
        disk.boot_from(copy)
