"""The command line tools of either house, `mosquitto_pub`/`mosquitto_sub` and `whimbrel pub`/`whimbrel sub`: they take the
same flags, so the same cases try both.
"""

import json
import signal
import time

from case import V5, V31, V311, Failed, expect
from process import Running, succeed
from waiting import DEADLINE_SECS

PROTOCOL = {V31: "mqttv31", V311: "mqttv311", V5: "mqttv5"}

# A retained message on this topic tells a subscriber that all its subscriptions before this one are in place.
READY = "interop-ready"

MESSAGE = "MESSAGE "


class Tools:
    """A way to publish and one to subscribe, at one broker and in one version."""

    def __init__(self, broker, version: str, publisher, subscriber):
        self.broker, self.version, self.programs = broker, version, (publisher, subscriber)
        at = ["-h", broker.host, "-p", broker.port, "-V", PROTOCOL[version]]
        self.publisher, self.subscriber = [*publisher, *at], [*subscriber, *at]

    def publish(self, topic: str, message: str | None, *flags, stdin: bytes = b"") -> None:
        """Publishes and waits until the tool has ended well. Without a message the flags say what is sent."""
        what = ["-m", message] if message is not None else []
        succeed([*self.publisher, "-t", topic, *what, *flags], stdin, within_secs=30.0)

    def subscribe(self, *filters: str, flags=()) -> "Subscriber":
        """Subscribes; returns when the subscriptions are in place."""
        self.publish(READY, "ready", "-r", "-q", "1")
        return Subscriber(self.subscriber, filters, flags).ready()

    def collect(self, *flags) -> bytes:
        """Runs the subscriber to its end (`-C`, `-E`); returns what it wrote."""
        return succeed([*self.subscriber, *flags])


class Subscriber:
    """A subscriber that runs; `next` gives its messages as the tool's JSON format tells them."""

    def __init__(self, command, filters, flags):
        topics = [part for topic in (*filters, READY) for part in ("-t", topic)]
        self.running = Running([*command, *topics, "-F", f"{MESSAGE}%j", *flags])
        self.early = []

    def ready(self) -> "Subscriber":
        """Returns when the last subscription is in place; what came before it is kept."""
        try:
            while (message := self._read(DEADLINE_SECS))["topic"] != READY:
                self.early.append(message)
        except Failed as failed:
            self.running.stop()
            raise Failed(f"{failed}; it said {self.running.tail()}") from None
        return self

    def _read(self, within_secs: float) -> dict:
        line = self.running.line(lambda line: line.startswith(MESSAGE), within_secs)
        return json.loads(line[len(MESSAGE) :])

    def next(self, within_secs: float = DEADLINE_SECS) -> dict:
        """The next message."""
        if self.early:
            return self.early.pop(0)
        end = time.monotonic() + within_secs
        while True:
            message = self._read(max(end - time.monotonic(), 0.0))
            if message["topic"] != READY:
                return message

    def take(self, count: int) -> list[dict]:
        """The next messages."""
        return [self.next() for _ in range(count)]

    def until_end(self) -> list[dict]:
        """The messages up to one that says "end" on the topic that every subscriber hears."""
        messages = []
        while (message := self._read(DEADLINE_SECS))["topic"] != READY or message["payload"] != "end":
            messages += [message] if message["topic"] != READY else []
        return messages

    def expect(self, payload: str, **fields) -> dict:
        """The next message has this payload and these fields."""
        message = self.next()
        expect(message.get("payload"), payload, "payload")
        for name, value in fields.items():
            expect(message.get(name), value, name)
        return message

    def kill(self) -> None:
        """Ends it without a word to the broker."""
        self.running.send(signal.SIGKILL)
        self.running.finish()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.running.stop()
