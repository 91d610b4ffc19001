"""An order of all operations exists that explains every answer; or the run fails. `unknown` is a failure as well."""

import json
import os
import pathlib
import subprocess

from harness.binary import ROOT

from . import Violation

BINARY = os.environ.get(
    "LINEARIZABILITY_BIN", str(ROOT / "target" / "linearizability" / "release" / "linearizability")
)
SECONDS = 120


def check_file(path, seconds=SECONDS):
    """The report on the history in this file."""
    done = subprocess.run(
        [BINARY, str(path), str(seconds)],
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
    )
    if done.returncode != 0:
        raise Violation(f"{path}: {done.returncode} {done.stdout.strip()} {done.stderr.strip()}")
    return json.loads(done.stdout)


def check(recorder, directory, name="history", seconds=SECONDS):
    """Judges what was recorded. The history stays in `directory` if it is not possible."""
    path = recorder.write(pathlib.Path(directory) / f"{name}.jsonl")
    report = check_file(path, seconds)
    if report["operations"] == 0:
        raise Violation("a history without operations proves nothing")
    path.unlink()
    return report
