"""Where the program under test is, and running one verb of it to its end."""

import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = os.environ.get("ZOOGATE_BIN", str(ROOT / "target" / "release" / "zoogate"))


def run(*arguments, stdin="", timeout=20):
    """Runs `zoogate` with the arguments; the result has returncode, stdout and stderr."""
    return subprocess.run(
        [BINARY, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
