"""A slow disk: so many writes per second and no more, for one process, by cgroup v1 (blkio.throttle)."""

import contextlib
import errno
import os

from .scope import CGROUPS
from .system import NotPermitted, needs_root

WRITES = "blkio.throttle.write_iops_device"


@contextlib.contextmanager
def slow_writes(scope, process, disk, per_second):
    """As long as the block runs, the process gets `per_second` writes through to this disk."""
    needs_root("a cgroup")
    if not (CGROUPS / WRITES).exists():
        raise NotPermitted(f"no {CGROUPS / WRITES}: cgroup v1 with blkio is not mounted")
    group = CGROUPS / f"{scope.name}-{disk.name}"
    try:
        group.mkdir(exist_ok=True)
        (group / WRITES).write_text(f"{disk.number} {per_second}")
        (group / "cgroup.procs").write_text(str(process.pid))
    except OSError as error:
        raise NotPermitted(f"{group}: {error}") from error
    scope.defer(_remove, group)
    try:
        yield group
    finally:
        # Limits end at once for what waits as well; then all threads go back to where they came from.
        (group / WRITES).write_text(f"{disk.number} 0")
        _remove(group)


def _remove(group):
    if not group.exists():
        return
    for pid in (group / "cgroup.procs").read_text().split():
        try:
            (CGROUPS / "cgroup.procs").write_text(pid)
        except OSError as error:
            if error.errno != errno.ESRCH:
                raise
    os.rmdir(group)
