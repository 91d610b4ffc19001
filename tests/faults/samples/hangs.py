"""A test that hangs with everything it made, for `test_injectors.py` to interrupt. No test by itself."""

import os
import time

from injectors.disks import LoopDisk
from injectors.namespaces import Namespaces
from injectors.slow import slow_writes


def test_hangs(scope, processes):
    disk = LoopDisk(scope, "hangs", 32)
    Namespaces(scope, ["n1", "n2"])
    process = processes.start("sleeper", ["sleep", "600"])
    with slow_writes(scope, process, disk, 5), disk.frozen():
        print(f"made zgf{os.getpid()} {process.pid}", flush=True)
        time.sleep(600)
