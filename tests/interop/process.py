"""Programs that run beside a case: started, read line by line, and ended by their process id."""

import os
import signal
import subprocess
import threading

from case import Failed, shorten
from waiting import DEADLINE_SECS, Mailbox


class Running:
    """A program whose lines (both outputs together) arrive in `lines`."""

    def __init__(self, command, **options):
        self.command = [str(part) for part in command]
        self.lines = Mailbox(f"line from {self.command[0].rsplit('/', 1)[-1]}")
        self.said = []
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **options,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            text = line.decode("utf-8", "replace").rstrip("\n")
            self.said.append(text)
            self.lines.put(text)
        self.lines.put(None)

    def line(self, matches, within_secs: float = DEADLINE_SECS) -> str:
        """The next line that matches; a failure as well when the program ends before."""
        line = self.lines.first(lambda line: line is None or matches(line), within_secs)
        if line is None:
            # Whoever asks again is told again.
            self.lines.put(None)
            raise Failed(f"{self.command[0]} has ended with {self.finish()}: {self.tail()}")
        return line

    def send(self, number: int) -> None:
        """Sends a signal, if the program still runs."""
        if self.process.poll() is None:
            os.kill(self.process.pid, number)

    def finish(self, within_secs: float = DEADLINE_SECS) -> int:
        """Waits for the program's end; returns its exit code."""
        try:
            code = self.process.wait(within_secs)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.command[0]} still runs after {within_secs:g} s: {self.tail()}") from None
        self.reader.join(within_secs)
        return code

    def tail(self) -> str:
        """Its last lines, for a message."""
        return shorten("\n".join(self.said[-12:]))

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Asks it to end, and makes it end."""
        self.send(number)
        try:
            return self.finish(5.0)
        except Failed:
            self.send(signal.SIGKILL)
            return self.finish()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def run(command, stdin: bytes = b"", within_secs: float = DEADLINE_SECS) -> subprocess.CompletedProcess:
    """Runs a program to its end."""
    command = [str(part) for part in command]
    try:
        return subprocess.run(command, input=stdin, capture_output=True, timeout=within_secs, check=False)
    except subprocess.TimeoutExpired as expired:
        said = shorten((expired.stdout or b"") + (expired.stderr or b""))
        raise Failed(f"{' '.join(command[:3])} … did not end within {within_secs:g} s: {said}") from None


def succeed(command, stdin: bytes = b"", within_secs: float = DEADLINE_SECS) -> bytes:
    """Runs a program that must succeed; returns what it wrote."""
    done = run(command, stdin, within_secs)
    if done.returncode != 0:
        said = shorten((done.stdout + done.stderr).decode("utf-8", "replace"))
        raise Failed(f"{' '.join(map(str, command[:3]))} … ended with {done.returncode}: {said}")
    return done.stdout
