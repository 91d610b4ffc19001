"""Names and ends: everything a run makes carries `zgf<pid>` and is unmade with it, whatever happens.

`Scope.defer` takes what undoes a step right after the step; `close` runs them backwards, all of them, also when
one fails. A run that was killed cannot close: the next one sweeps, and touches only what carries the name of a run whose
process is gone.
"""

import os
import pathlib
import re
import shutil
import signal

from harness.binary import ROOT

from .system import run

PREFIX = "zgf"
OWNER = "ZOOGATE_FAULTS_OWNER"
# On a real disk: a durability test on a tmpfs proves nothing.
BASE = pathlib.Path(os.environ.get("ZOOGATE_FAULTS_DIR", ROOT / "target" / "faults"))
CGROUPS = pathlib.Path("/sys/fs/cgroup/blkio")


class Scope:
    """One run: its name, its directory and what must be undone."""

    _count = 0

    def __init__(self, directory=None):
        self.owner = f"{PREFIX}{os.getpid()}"
        Scope._count += 1
        self.number = Scope._count
        self.name = f"{self.owner}-{self.number}"
        self.directory = pathlib.Path(directory or BASE / self.owner / str(self.number))
        self.directory.mkdir(parents=True, exist_ok=True)
        self._undo = []

    def defer(self, action, *arguments):
        """Remembers what undoes a step."""
        self._undo.append((action, arguments))

    def close(self):
        """Undoes everything, last things first; the first failure is raised at the end."""
        failed = None
        while self._undo:
            action, arguments = self._undo.pop()
            try:
                action(*arguments)
            except Exception as error:  # the rest must be undone all the same
                print(f"undoing {action}: {error!r}")
                failed = failed or error
        if failed:
            raise failed

    def remove_directory(self):
        shutil.rmtree(self.directory, ignore_errors=True)


def environment():
    """For processes of this run, so that a later one can tell whose they were."""
    return {OWNER: f"{PREFIX}{os.getpid()}"}


def sweep():
    """Removes what runs have left whose process is gone; returns what that was."""
    removed = []
    for action, what in [*_processes(), *_mounts(), *_loops(), *_namespaces(), *_links(), *_cgroups()]:
        try:
            action()
            removed.append(what)
        except (OSError, RuntimeError) as error:
            removed.append(f"{what}: {error}")
    for directory in BASE.glob(f"{PREFIX}*"):
        if is_orphan(directory.name):
            shutil.rmtree(directory, ignore_errors=True)
            removed.append(str(directory))
    return removed


def is_orphan(text):
    """Whether it names a run of ours, and that run is over."""
    match = re.search(rf"\b{PREFIX}(\d+)(?!\d)", text)
    return bool(match) and not pathlib.Path(f"/proc/{match.group(1)}").exists()


def _processes():
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            found = re.search(rb"%s=(\w+)" % OWNER.encode(), (entry / "environ").read_bytes())
        except OSError:
            continue
        if found and is_orphan(found.group(1).decode()):
            pid = int(entry.name)
            yield (lambda pid=pid: os.kill(pid, signal.SIGKILL)), f"process {pid}"


def _mounts():
    with open("/proc/self/mountinfo", encoding="utf8") as mounts:
        points = [line.split()[4] for line in mounts]
    for point in reversed(points):
        if is_orphan(point):
            yield (lambda point=point: unmount(point)), f"mount {point}"


def _loops():
    if os.geteuid() != 0 or not shutil.which("losetup"):
        return
    for line in run("losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE").splitlines():
        device, _, file = line.partition(" ")
        if is_orphan(file):
            yield (lambda it=device: run("losetup", "--detach", it)), f"loop {device} {file.strip()}"


def _namespaces():
    directory = pathlib.Path("/run/netns")
    for entry in directory.glob(f"{PREFIX}*") if directory.exists() else ():
        if is_orphan(entry.name):
            yield (lambda it=entry.name: run("ip", "netns", "delete", it)), f"netns {entry.name}"


def _links():
    for entry in pathlib.Path("/sys/class/net").glob(f"{PREFIX}*"):
        if is_orphan(entry.name):
            yield (lambda it=entry.name: _delete_link(it)), f"link {entry.name}"


def _delete_link(name):
    # The other end of a pair goes with the first.
    if pathlib.Path(f"/sys/class/net/{name}").exists():
        run("ip", "link", "delete", name)


def _cgroups():
    for entry in CGROUPS.glob(f"{PREFIX}*") if CGROUPS.exists() else ():
        if is_orphan(entry.name):
            yield entry.rmdir, f"cgroup {entry.name}"


def unmount(point):
    """Thaws it if it was left frozen, then takes it off, also from under a process that has just been ended."""
    run("fsfreeze", "--unfreeze", point, check=False)
    run("umount", "--lazy", point)
