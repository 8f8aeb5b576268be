"""Runs the interoperability cases against a broker and reports one line each. It installs nothing: setup.sh does.

The last line is `N passed, N failed`, with the number of those skipped where a program is missing.
"""

import argparse
import importlib.util
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Debian keeps Mosquitto's broker where a user's path does not look.
os.environ["PATH"] += os.pathsep + os.pathsep.join(["/usr/sbin", "/sbin"])

import haproxy_cases  # noqa: E402
import access_cases  # noqa: E402
import inherited_cases  # noqa: E402
import manual_cases  # noqa: E402
import mqttjs_cases  # noqa: E402
import paho_cases  # noqa: E402
import password_cases  # noqa: E402
import quic_cases  # noqa: E402
import scram_cases  # noqa: E402
import second_address_cases  # noqa: E402
import tls_cases  # noqa: E402
import token_cases  # noqa: E402
import tools_cases  # noqa: E402
import websocket_cases  # noqa: E402
from broker import Broker, mosquitto, whimbrel  # noqa: E402
from case import Failed, House, Missing  # noqa: E402

GROUPS = [
    *tools_cases.GROUPS,
    *paho_cases.GROUPS,
    mqttjs_cases.GROUP,
    password_cases.GROUP,
    scram_cases.GROUP,
    access_cases.GROUP,
    second_address_cases.GROUP,
    tls_cases.GROUP,
    token_cases.GROUP,
    websocket_cases.GROUP,
    quic_cases.GROUP,
    inherited_cases.GROUP,
    manual_cases.GROUP,
    haproxy_cases.GROUP,
]

# How to get what a case needs, told where it is missing.
SOURCES = {
    "whimbrel": "build it, or name it with --whimbrel",
    "mosquitto": "Debian: mosquitto",
    "mosquitto_passwd": "Debian: mosquitto",
    "mosquitto_pub": "Debian: mosquitto-clients",
    "mosquitto_sub": "Debian: mosquitto-clients",
    "paho-mqtt": "tests/interop/setup.sh",
    "aioquic": "tests/interop/setup.sh",
    "MQTT.js": "tests/interop/setup.sh",
    "node": "Debian: nodejs",
    "playwright-core": "tests/interop/setup.sh",
    "chromium": "Debian: chromium",
    "openssl": "Debian: openssl",
    "haproxy": "Debian: haproxy",
    "curl": "Debian: curl",
    "ip": "Debian: iproute2",
    "a network namespace": "run as root",
}


def main() -> int:
    arguments = parse_arguments()
    prepared = arguments.prepared or ROOT / "target" / "interop"
    binary = arguments.whimbrel or next(filter(Path.exists, default_binaries()), None)
    cases = [case for group in GROUPS for case in group.cases if is_chosen(case, arguments.only)]
    missing = missing_programs(cases, prepared, binary)
    if arguments.list:
        print(*(case.title for case in cases), sep="\n")
        return 0
    for name in sorted(missing):
        print(f"missing: {name} ({SOURCES[name]})")
    if arguments.missing:
        return 0
    if not cases:
        print("no case has such a name")
        return 2
    if binary is None and arguments.broker is None:
        print("no broker: build whimbrel, or name a broker with --broker")
        return 1
    with tempfile.TemporaryDirectory(prefix="whimbrel-interop-") as folder:
        tempfile.tempdir = folder  # What a case does not clear away goes with the rest.
        house = House(None, binary and binary.resolve(), prepared, Path(folder))
        command = arguments.broker or whimbrel(house.whimbrel)
        if arguments.broker == "mosquitto":
            command = mosquitto("mosquitto", house.folder, "max_queued_messages 0", "max_inflight_messages 0")
        with Broker(command, log=arguments.log) as house.broker:
            passed, failed, skipped = run_all(house, cases, missing)
    if skipped and is_required(arguments):
        failed, skipped = failed + skipped, 0
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


def parse_arguments():
    parser = argparse.ArgumentParser(description="Whimbrel's broker and tools with programs that others wrote.")
    parser.add_argument("--whimbrel", type=Path, help="the program (default: target/release or target/debug)")
    parser.add_argument("--broker", help="another broker: `mosquitto`, or a command with {port}")
    parser.add_argument("--only", action="append", default=[], metavar="WORDS", help="cases whose title holds the words")
    parser.add_argument("--list", action="store_true", help="print the titles of the cases")
    parser.add_argument("--missing", action="store_true", help="print what is missing here")
    parser.add_argument("--require", action="store_true", help="what cannot run has failed (also with CI=true)")
    parser.add_argument("--prepared", type=Path, help="the folder that setup.sh filled (default: target/interop)")
    parser.add_argument("--log", type=Path, help="a file for what the broker says")
    return parser.parse_args()


def is_required(arguments) -> bool:
    return arguments.require or os.environ.get("CI") == "true"


def default_binaries():
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return [target / profile / "whimbrel" for profile in ("release", "debug")]


def is_chosen(case, only) -> bool:
    return not only or any(all(word in case.title for word in words.split()) for words in only)


def missing_programs(cases, prepared: Path, binary) -> set[str]:
    """The needs of the cases that this machine does not meet."""
    needs = {need for case in cases for need in case.needs}
    has = {
        "whimbrel": binary is not None,
        "paho-mqtt": importlib.util.find_spec("paho") is not None,
        "aioquic": importlib.util.find_spec("aioquic") is not None,
        "MQTT.js": (prepared / "mqttjs" / "node_modules" / "mqtt").exists(),
        "playwright-core": (prepared / "mqttjs" / "node_modules" / "playwright-core").exists(),
        "a network namespace": second_address_cases.can_enter(),
    }
    return {need for need in needs if not has.get(need, shutil.which(need) is not None)}


def run_all(house, cases, missing) -> tuple[int, int, int]:
    passed = failed = 0
    skipped = Counter()
    for case in cases:
        lacking = sorted(missing.intersection(case.needs))
        if lacking:
            skipped[case.group, ", no ".join(lacking)] += 1
            continue
        start = time.monotonic()
        trouble = run_one(house, case)
        secs = f"({time.monotonic() - start:.1f} s)"
        if trouble is None:
            passed += 1
            print(f"ok       {case.title} {secs}", flush=True)
        else:
            failed += 1
            print(f"FAILED   {case.title} {secs}\n         {trouble}", flush=True)
    for (group, lacking), count in skipped.items():
        print(f"skipped  {group}: {count} cases, no {lacking}")
    return passed, failed, skipped.total()


def run_one(house, case) -> str | None:
    """What went wrong, or nothing."""
    try:
        case.run(house)
    except (Failed, Missing) as failed:
        return str(failed)
    except Exception:  # noqa: BLE001: any trouble of a case is this case's, and the next one runs.
        return traceback.format_exc().replace("\n", "\n         ")
    ended = house.broker.running.process.poll()
    return None if ended is None else f"the broker ended with {ended}: {house.broker.running.tail()}"


if __name__ == "__main__":
    sys.exit(main())
