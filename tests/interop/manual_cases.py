"""The pages of docs/manual, command by command, each page in a folder and a network of its own.

Blocks of a page that count, by what stands behind their three backticks:

    sh              has to succeed
    sh refused      has to fail
    sh broker       is started, and has to say that it is ready; it replaces the one of before
    text output     is what the block before it has said, line by line; `…` stands for anything

A page names the programs that it needs in a comment: `<!-- needs: openssl, curl -->`.
"""

import contextlib
import fnmatch
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

from case import Failed, Group, Missing, expect
from process import Running, succeed
from second_address_cases import enter_namespace, in_thread

PAGES = Path(__file__).resolve().parent.parent.parent / "docs" / "manual"
GROUP = Group("manual", "whimbrel", "ip", "a network namespace")
FENCE = re.compile(r"^```(\w*) ?(.*)$")
STEP_SECS = 60.0


def blocks(page: Path):
    """Each block of a page: the line at which it begins, its language, its word, its text."""
    inside = None
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = FENCE.match(line)
        if inside is None and fence:
            inside = (number, fence[1], fence[2].strip(), [])
        elif inside is not None and line == "```":
            yield (*inside[:3], "\n".join(inside[3]) + "\n")
            inside = None
        elif inside is not None:
            inside[3].append(line)


def needs(page: Path) -> tuple[str, ...]:
    named = re.search(r"<!-- needs: (.*?) -->", page.read_text())
    return tuple(name.strip() for name in named[1].split(",")) if named else ()


class Walk:
    """One way through a page."""

    def __init__(self, house, folder: Path):
        self.folder = folder
        self.broker = None
        self.said = ""
        self.environment = {
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "PATH": f"{house.whimbrel.parent}{os.pathsep}{os.environ['PATH']}",
            "RUNTIME_DIRECTORY": str(folder / "run"),
            "WHIMBREL_STORE_DIRECTORY": str(folder / "store"),
        }
        (folder / "run").mkdir(mode=0o700)

    def start(self, text: str) -> None:
        self.stop()
        # The broker takes the place of its shell, so that a signal reaches it.
        command = ["bash", "-euc", re.sub(r"^whimbrel serve", "exec whimbrel serve", text, flags=re.MULTILINE)]
        self.broker = Running(command, cwd=self.folder, env=self.environment)
        self.broker.line(lambda line: " is ready with " in line, STEP_SECS)

    def step(self, text: str, refused: bool) -> None:
        command = ["bash", "-euo", "pipefail", "-c", text]
        group = subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            said, _ = group.communicate(timeout=STEP_SECS)
        except subprocess.TimeoutExpired:
            raise Failed(f"it does not end: {text}") from None
        finally:
            # What it has left behind in the background goes with it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group.pid, signal.SIGKILL)
            group.wait()
        self.said = said.decode("utf-8", "replace")
        if (group.returncode != 0) != refused:
            raise Failed(f"ended with {group.returncode}: {text}{self.said}")

    def compare(self, text: str) -> None:
        lines = self.said.splitlines()
        for wanted in text.splitlines():
            pattern = re.sub(r"([\[\]?*])", r"[\1]", wanted).replace("…", "*")
            if not any(fnmatch.fnmatchcase(line, pattern) for line in lines):
                raise Failed(f"no such line: {wanted!r} in {self.said!r}")

    def stop(self) -> None:
        if self.broker is not None:
            expect(self.broker.stop(), 0, "how the broker ends")
            self.broker = None


def walk(house, page: Path) -> None:
    folder = house.folder / f"manual-{page.stem}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    way = Walk(house, folder)
    enter_namespace()
    succeed(["ip", "link", "set", "lo", "up"])
    try:
        for line, language, word, text in blocks(page):
            try:
                match (language, word):
                    case ("sh", ""):
                        way.step(text, refused=False)
                    case ("sh", "refused"):
                        way.step(text, refused=True)
                    case ("sh", "broker"):
                        way.start(text)
                    case ("text", "output"):
                        way.compare(text)
                    case ("sh", _):
                        raise Failed(f"nobody knows what `sh {word}` is")
            except Failed as failed:
                raise Failed(f"{page.name}:{line}: {failed}") from None
    finally:
        way.stop()


def register(page: Path) -> None:
    def run(house):
        if raised := in_thread(walk, house, page):
            raise raised

    run.__name__ = page.stem
    GROUP.case(needs=needs(page))(run)


for found in sorted(PAGES.glob("*.md")):
    if found.stem != "README":
        register(found)
