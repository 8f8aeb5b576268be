"""A broker as a process on a port that the system gave: the one under test, or Mosquitto. Knows no case."""

import os
import select
import shlex
import signal
import socket
import tempfile
import time
from pathlib import Path

from case import Failed
from process import Running
from waiting import DEADLINE_SECS

HOST = "127.0.0.1"
# A port may be taken between its choice and the broker's start: another one is tried.
STARTS_MAX = 3
# While the port is closed: how long to wait for the process's end before knocking again.
KNOCK_MILLIS = 10


def free_port(host: str = HOST) -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind((host, 0))
        return listener.getsockname()[1]


class Broker:
    """A broker that listens. `command` is a line with `{port}` in it, or a function from the port to a list."""

    def __init__(self, command, host: str = HOST, log: Path | None = None, port: int | None = None):
        self.command, self.host, self.log, self.fixed = command, host, log, port

    def __enter__(self):
        for start in range(STARTS_MAX):
            self.port = self.fixed or free_port(self.host)
            self.running = Running(self._arguments(), cwd=self.log.parent if self.log else None)
            try:
                wait_for_port(self.running, self.host, self.port)
                return self
            except Failed:
                self.running.stop(signal.SIGKILL)
                if start == STARTS_MAX - 1:
                    raise
        raise Failed("no broker")

    def __exit__(self, *_):
        self.exit_code = self.running.stop()
        if self.log:
            self.log.write_text("\n".join(self.running.said) + "\n")

    def _arguments(self) -> list:
        if callable(self.command):
            return self.command(self.port)
        return [part.replace("{port}", str(self.port)) for part in shlex.split(self.command)]


def wait_for_port(running: Running, host: str, port: int, within_secs: float = DEADLINE_SECS) -> None:
    """Returns when somebody answers on the port; fails when the process ends before."""
    end = time.monotonic() + within_secs
    ended = os.pidfd_open(running.process.pid)
    try:
        while time.monotonic() < end:
            with socket.socket() as knock:
                knock.settimeout(1.0)
                if knock.connect_ex((host, port)) == 0:
                    return
            poll = select.poll()
            poll.register(ended, select.POLLIN)
            if poll.poll(KNOCK_MILLIS):
                raise Failed(f"the broker ended with {running.finish()}: {running.tail()}")
    finally:
        os.close(ended)
    raise Failed(f"nobody listens on {host}:{port} after {within_secs:g} s: {running.tail()}")


def whimbrel(program, *flags, host: str = HOST):
    """The command of the broker that is tested."""
    # A store of its own for each: what it holds must not change what clients see.
    store = [] if "--store-directory" in flags else ["--store-directory", tempfile.mkdtemp(prefix="whimbrel-store-")]
    return lambda port: [program, "serve", "--listen", f"{host}:{port}", *store, *flags]


def mosquitto(program, folder: Path, *lines: str):
    """The command of a Mosquitto with a configuration of its own; `lines` follow its listener."""

    def command(port: int) -> list:
        file = folder / f"mosquitto-{port}.conf"
        allow = [] if any(line.startswith("password_file") for line in lines) else ["allow_anonymous true"]
        file.write_text("\n".join([f"listener {port} {HOST}", *allow, *lines]) + "\n")
        return [program, "-c", file]

    return command
