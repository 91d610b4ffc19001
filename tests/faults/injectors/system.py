"""Commands of the system, and `NotPermitted`: what this machine does not let us do, with the reason."""

import os
import shutil
import subprocess


class NotPermitted(Exception):
    """This fault cannot be made here. Tests are skipped with it."""


def run(*command, timeout=60, check=True):
    """Runs a command to its end and returns what it printed."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {done.returncode} {done.stderr.strip()}")
    return done.stdout


def needs_root(what):
    if os.geteuid() != 0:
        raise NotPermitted(f"{what} needs root")


def needs(*programs):
    for program in programs:
        if shutil.which(program) is None:
            raise NotPermitted(f"{program} is missing")


def permitted(*command):
    """Runs a command that a machine may refuse as a whole."""
    try:
        return run(*command)
    except (RuntimeError, FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise NotPermitted(str(error)) from error
