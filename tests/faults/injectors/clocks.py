"""Clocks that jump, by libfaketime, while the process runs: the file with the offset is rewritten.

Only the process that it is preloaded into sees it; the machine's clock is never touched. With `monotonic` Instants jump as
well, as after a suspended machine; without, only the wall clock does, which must change nothing at all.
"""

import glob
import os

from .system import NotPermitted

LIBRARIES = "/usr/lib/*/faketime/libfaketimeMT.so.1"


class Clock:
    """The clock of one node."""

    def __init__(self, scope, name, monotonic=False):
        found = glob.glob(LIBRARIES)
        if not found:
            raise NotPermitted("libfaketime is missing")
        self._file = scope.directory / f"{name}.clock"
        self.environment = {
            "LD_PRELOAD": found[0],
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
        }
        if not monotonic:
            self.environment["FAKETIME_DONT_FAKE_MONOTONIC"] = "1"
        self.set(0)

    def set(self, seconds):
        """The clock goes that much before the machine's, from now on."""
        spare = self._file.with_suffix(".new")
        spare.write_text(f"{seconds:+d}\n")
        os.replace(spare, self._file)
