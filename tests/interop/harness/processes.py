"""Programs as processes in sessions of their own, output in files, ended by id whatever happens."""

import os
import pathlib
import signal
import subprocess

from .waiting import eventually

# Of a file's end, what a failed test shows.
TAIL_BYTES = 6_000


def session(leader):
    """The id of each process of a session, and its `/proc/ID/stat` behind the name."""
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        if int(fields[3]) == leader:
            yield int(entry.name), fields


class Process:
    """One program. Its output goes to `<name>.out` and `<name>.err`, appended over restarts."""

    def __init__(self, name, command, directory, env=None, stdin=False):
        self.name = name
        self.out = pathlib.Path(directory) / f"{name}.out"
        self.err = pathlib.Path(directory) / f"{name}.err"
        with open(self.out, "ab") as out, open(self.err, "ab") as err:
            self._popen = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=directory,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )
        self.pid = self._popen.pid

    def is_running(self):
        return self._popen.poll() is None

    def send(self, number):
        """Sends a signal, unless the process is over."""
        if self.is_running():
            os.kill(self.pid, number)

    def tell(self, line):
        """Writes a line to the program's stdin."""
        self._popen.stdin.write(f"{line}\n".encode())
        self._popen.stdin.flush()

    def wait(self, timeout=10.0):
        """The exit code, as a shell would have it: 128 + n for signal n."""
        code = self._popen.wait(timeout)
        return code if code >= 0 else 128 - code

    def kill9(self):
        """Ends the process and everything it started, at once.

        The process itself first: one that keeps workers would replace those that end before it.
        """
        for pid in sorted(self._members(), key=lambda pid: pid != self.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self._popen.wait(10)
        if self._popen.stdin:
            try:
                self._popen.stdin.close()
            except BrokenPipeError:
                pass

    def stop(self, timeout=15.0):
        """Asks the process to end and returns its exit code."""
        self.send(signal.SIGTERM)
        return self.wait(timeout)

    def pause(self):
        self.send(signal.SIGSTOP)

    def resume(self):
        self.send(signal.SIGCONT)

    def lines(self, start=0):
        """The complete lines of stdout from the byte `start` on."""
        with open(self.out, "rb") as file:
            file.seek(start)
            data = file.read()
        return data[: data.rfind(b"\n") + 1].decode(errors="replace").splitlines()

    def errors(self, start=0):
        """The text of stderr from the byte `start` on."""
        return self.err.read_bytes()[start:].decode(errors="replace")

    def await_line(self, prefix, timeout=20.0, start=0):
        """The first line of stdout that begins with `prefix`; fails if the process ends without."""

        def find():
            over = not self.is_running()
            found = [line for line in self.lines(start) if line.startswith(prefix)]
            if over and not found:
                raise ProcessOver(f"{self.name} ended: {self.tail()}")
            return found

        return eventually(find, timeout, f"{prefix!r} from {self.name}")[0]

    def rss_kib(self):
        """Resident memory."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1])
        raise RuntimeError(f"{self.name} has no memory")

    def cpu_seconds(self):
        """Processor time used until now, user and system."""
        stat = pathlib.Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii")
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def tail(self):
        """The end of what the program said."""
        text = self.out.read_bytes()[-TAIL_BYTES:] + self.err.read_bytes()[-TAIL_BYTES:]
        return text.decode(errors="replace")

    def _members(self):
        """The ids of the processes of this session: what the program started would outlive it."""
        members = {self.pid} if self.is_running() else set()
        members.update(number for number, _ in session(self.pid))
        return members


class ProcessOver(BaseException):
    """A program ended that should go on. No `Exception`, so that waiting for it ends as well."""


class Processes:
    """Everything a test starts. Ended, in reverse order, when the test is over."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self._started = []
        self._closing = []

    def start(self, name, command, env=None, stdin=False):
        process = Process(name, command, self.directory, env, stdin)
        self._started.append(process)
        return process

    def on_close(self, action):
        """Runs `action` before the processes end, so that clients close while a server is there."""
        self._closing.append(action)

    def close(self):
        for action in reversed(self._closing):
            try:
                action()
            except Exception as error:  # the processes must end whatever a client thinks of it
                print(f"closing: {error!r}")
        self._closing.clear()
        for process in reversed(self._started):
            process.kill9()

    def tails(self):
        """By name, the end of what each program said."""
        return {process.name: process.tail() for process in self._started}
