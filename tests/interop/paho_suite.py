"""Runs Eclipse Paho's interoperability suite against a broker and prints a table. The suite is not part of this repository:
its files, unchanged, are `interoperability/client_test.py` and `client_test5.py` of the folder named by --suite.

Each file runs in a process of its own, in the order in which unittest runs it; a test that returns False has failed, and
one that hangs is ended by a deadline.
"""

import argparse
import contextlib
import io
import json
import runpy
import signal
import sys
import tempfile
import time
import traceback
import unittest
import warnings
from pathlib import Path

from broker import HOST, Broker, mosquitto, whimbrel
from process import Running

HERE = Path(__file__).resolve().parent
FILES = ("client_test.py", "client_test5.py")
# They need an access rule, which Whimbrel does not have.
LEFT_OUT = ("test_subscribe_failure",)
# The longest test of the suite takes half a minute.
TEST_SECS_MAX = 120
FILE_SECS_MAX = 1_800


class Overdue(BaseException):
    """A test took longer than its deadline. No `except Exception` of the suite swallows it."""


def main() -> int:
    arguments = parse_arguments()
    suite = arguments.suite.resolve()
    if (suite / "interoperability").is_dir():
        suite /= "interoperability"
    for name in FILES:
        if not (suite / name).is_file():
            print(f"{suite / name} is not there: --suite names a checkout of Eclipse Paho's mqtt.testing")
            return 2
    if arguments.one:
        return run_file(suite, arguments.one, arguments.port)
    rows = []
    for name in FILES:
        # A broker of its own for each: what one file leaves behind is not the other's trouble.
        with Broker(command(arguments), log=arguments.log) as broker:
            rows += run_beside(suite, name, broker.port)
    return report(rows)


def parse_arguments():
    parser = argparse.ArgumentParser(description="Eclipse Paho's interoperability suite against a broker.")
    parser.add_argument("--suite", type=Path, required=True, help="the folder that holds the suite")
    parser.add_argument("--whimbrel", type=Path, help="the program that is tested")
    parser.add_argument("--broker", help="another broker: `mosquitto`, or a command with {port}")
    parser.add_argument("--log", type=Path, help="a file for what the broker says")
    parser.add_argument("--prepared", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--one", choices=FILES, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not (arguments.one or arguments.whimbrel or arguments.broker):
        parser.error("name the broker: --whimbrel or --broker")
    return arguments


def command(arguments):
    """How to start the broker."""
    if arguments.broker == "mosquitto":
        return mosquitto("mosquitto", Path(tempfile.mkdtemp(prefix="whimbrel-suite-")), "max_keepalive 60")
    if arguments.broker:
        return arguments.broker
    return whimbrel(arguments.whimbrel.resolve(), "--config", HERE / "paho-suite.toml")


def run_beside(suite: Path, name: str, port: int) -> list[dict]:
    """Runs one file in a process of its own; returns a row for each test, also where the process ends early."""
    own = [sys.executable, "-W", "ignore", Path(__file__).resolve()]
    rows = []
    with Running([*own, "--suite", suite, "--one", name, "--port", port]) as running:
        while True:
            line = running.line(lambda line: line.startswith("{"), FILE_SECS_MAX)
            row = json.loads(line)
            if "test" not in row:
                return rows
            print(f"{row['outcome']:<8} {name:<16} {row['test']:<32} {row['secs']:6.1f} s", flush=True)
            rows.append(row)


def report(rows: list[dict]) -> int:
    for row in rows:
        if row["outcome"] != "ok":
            print(f"\n== {row['file']} {row['test']}\n{row['said']}")
    failed = sum(row["outcome"] != "ok" for row in rows)
    print(f"\nleft out: {', '.join(LEFT_OUT)}")
    print(f"{len(rows) - failed} passed, {failed} failed")
    return 1 if failed or not rows else 0


def run_file(suite: Path, name: str, port: int) -> int:
    """Runs the tests of one file in this process; prints a JSON object for each, and an empty one at the end."""
    sys.path.insert(0, str(suite))
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, give_up)
    # The file's own main block sets what its tests use; where it would hand over to unittest, we do.
    unittest.main = lambda *_, **__: run_tests(name, sys.modules["__main__"].Test)
    sys.argv = [name, "--hostname", HOST, "-p", str(port)]
    runpy.run_path(str(suite / name), run_name="__main__")
    print("{}", flush=True)
    return 0


def give_up(*_):
    raise Overdue(f"still running after {TEST_SECS_MAX} s")


def run_tests(file: str, tests) -> None:
    names = [name for name in unittest.defaultTestLoader.getTestCaseNames(tests) if name not in LEFT_OUT]
    out = sys.stdout
    with contextlib.redirect_stdout(io.StringIO()):
        tests.setUpClass()
    for name in names:
        start = time.monotonic()
        outcome, said = run_test(tests(name), name)
        row = {"file": file, "test": name, "outcome": outcome, "secs": time.monotonic() - start, "said": said}
        print(json.dumps(row), file=out, flush=True)


def run_test(test, name: str) -> tuple[str, str]:
    """The outcome of one test, and what it said."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        signal.alarm(TEST_SECS_MAX)
        try:
            test.setUp()
            if getattr(test, name)() is False:
                return "FAILED", said.getvalue()
        except (Exception, Overdue):
            traceback.print_exc()
            return "FAILED", said.getvalue()
        finally:
            signal.alarm(0)
    return "ok", said.getvalue()


if __name__ == "__main__":
    sys.exit(main())
