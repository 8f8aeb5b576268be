"""The cases of mqttjs/cases.mjs, as the runner sees them: each line that Node.js prints is one case's outcome."""

import atexit
import json
import shutil
from pathlib import Path

from case import Failed, Group
from process import Running, succeed

SCRIPT = Path(__file__).resolve().parent / "mqttjs" / "cases.mjs"
# Longer than the library's own deadlines in one case together.
CASE_SECS = 60.0

GROUP = Group("MQTT.js", "node", "MQTT.js")


class Session:
    """One run of the script at one broker; its outcomes are read in the order in which the cases stand."""

    running = None
    broker = None

    @classmethod
    def outcome(cls, house, name, version) -> dict:
        if cls.broker is not house.broker:
            cls.broker = house.broker
            folder = house.prepared / "mqttjs"
            cls.running = Running(["node", SCRIPT, f"mqtt://{house.broker.host}:{house.broker.port}", folder])
            atexit.register(cls.running.stop)
        while True:
            outcome = json.loads(cls.running.line(lambda line: line.startswith("{"), CASE_SECS))
            if (outcome["name"], outcome["version"]) == (name, version):
                return outcome


def register() -> None:
    """Makes a case of every one that the script lists."""
    if shutil.which("node") is None:
        names = [{"name": "cases", "version": None}]
    else:
        names = [json.loads(line) for line in succeed(["node", SCRIPT, "list"], within_secs=120).decode().splitlines()]
    for each in names:

        def run(house, *_, name=each["name"], version=each["version"]):
            outcome = Session.outcome(house, name, version)
            if "failure" in outcome:
                raise Failed(outcome["failure"])

        run.__name__ = each["name"]
        GROUP.case(*[each["version"]] if each["version"] else [])(run)


register()
