"""What the end-to-end benches share: a workspace, processor time, and figures as Markdown.

Processes, free ports and waiting are those of the interop tests, `tests/interop/harness`.
"""

import contextlib
import os
import pathlib
import re
import resource
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "interop"))

from harness.processes import Processes, session  # noqa: E402 (the path is set just above)

# Descriptors that the largest load needs, many times over; a default soft limit of 1024 is too low.
OPEN_FILES = 16_384

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def workspace(limit):
    """Processes in a directory below target/, so on a real disk; all gone in the end.

    The end comes after `limit` seconds at the latest, and with TERM.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    for number, reason in ((signal.SIGTERM, "ended"), (signal.SIGALRM, f"over {limit} s")):
        signal.signal(number, lambda *_, reason=reason: sys.exit(reason))
    signal.alarm(limit)
    directory = tempfile.mkdtemp(prefix="bench-", dir=ROOT / "target")
    processes = Processes(directory)
    try:
        yield processes
    except BaseException:
        for name, tail in processes.tails().items():
            print(f"--- the end of {name}'s output:\n{tail[-1000:]}", file=sys.stderr)
        raise
    finally:
        signal.alarm(0)
        processes.close()
        shutil.rmtree(directory)


def need(program, package):
    """The path of a program of the distribution."""
    return shutil.which(program) or sys.exit(
        f"{program} is missing: run tests/setup --bench, or apt-get install {package}"
    )


def build(*more):
    """Builds zoogate as it is released, unless another binary is named, and then what else is needed.

    One after the other: features that benches ask of dependencies shall not get into the binary.
    """
    targets = [] if "ZOOGATE_BIN" in os.environ else [("--bin", "zoogate")]
    for target in [*targets, *more]:
        command = ["cargo", "build", "--release", "--locked", "--quiet", *target]
        subprocess.run(command, cwd=ROOT, check=True)


def cpu_seconds(process):
    """Processor time of a process and all it started, user and system, of all threads."""
    ticks = sum(int(fields[11]) + int(fields[12]) for _, fields in session(process.pid))
    return ticks / TICKS_PER_SECOND


def machine():
    """One line on the machine and how busy it was before."""
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())
    cores = len(os.sched_getaffinity(0))
    system = os.uname()
    return ", ".join(
        (
            f"{cores} cores ({model[1] if model else system.machine})",
            f"{int(memory[1]) >> 20} GiB",
            f"{system.sysname} {system.release}",
            f"load average {os.getloadavg()[0]:.1f} before",
        )
    )


def fdatasync_ms(directory):
    """Median milliseconds of a durable append of 4 KiB to a file there."""
    took = []
    path = pathlib.Path(directory) / "fdatasync"
    with open(path, "wb", buffering=0) as file:
        for _ in range(100):
            start = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - start)
    path.unlink()
    return statistics.median(took) * 1e3


def version(command, pattern):
    """The version that a program says it is, as `pattern` finds it."""
    said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    found = re.search(pattern, said.stdout + said.stderr)
    return found[1] if found else "of unknown version"


def command_line():
    """What was typed, from the repository's root."""
    script = pathlib.Path(sys.argv[0]).resolve().relative_to(ROOT)
    return shlex.join([str(script), *sys.argv[1:]])


def rotated(sequence, by):
    """The sequence begun at another of its elements: A B C, B C A, C A B."""
    by %= len(sequence)
    return [*sequence[by:], *sequence[:by]]


def ratio(ours, theirs):
    """The median over the rounds of the ratio of two samples of the same round."""
    pairs = zip(ours, theirs, strict=True)
    return statistics.median(own / other if other else float("nan") for own, other in pairs)


def table(head, rows, texts=1):
    """Rows as a Markdown table; the first `texts` columns are text, the others figures."""
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
    rule = ["-" * (width - 1) + ("-" if at < texts else ":") for at, width in enumerate(widths)]
    lines = []
    for row in [head, rule, *rows]:
        cells = [
            text.ljust(width) if at < texts else text.rjust(width)
            for at, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def figure(value):
    """A number with three digits that count: 12,345 or 123 or 12.3 or 1.23."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def progress(text):
    """Says on stderr what is being measured."""
    print(text, file=sys.stderr, flush=True)
