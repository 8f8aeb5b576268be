"""Waiting for events with a deadline. Nothing here lets time pass for its own sake."""

import queue
import time

from case import Failed

# Generous: a loaded machine is no failure, and a test that passes never waits for it.
DEADLINE_SECS = 15.0


class Mailbox:
    """Events of one kind in the order in which they came."""

    def __init__(self, what: str):
        self.what, self.queue = what, queue.Queue()

    def put(self, event) -> None:
        self.queue.put(event)

    def next(self, within_secs: float = DEADLINE_SECS):
        """The next event; a failure where none comes."""
        try:
            return self.queue.get(timeout=within_secs)
        except queue.Empty:
            raise Failed(f"no {self.what} within {within_secs:g} s") from None

    def first(self, matches, within_secs: float = DEADLINE_SECS):
        """The next event that matches; those before it are dropped."""
        end = time.monotonic() + within_secs
        while True:
            event = self.next(max(end - time.monotonic(), 0.0))
            if matches(event):
                return event

    def take(self, count: int, within_secs: float = DEADLINE_SECS) -> list:
        """So many events."""
        end = time.monotonic() + within_secs
        events = []
        while len(events) < count:
            try:
                events.append(self.queue.get(timeout=max(end - time.monotonic(), 0.0)))
            except queue.Empty:
                said = f"{len(events)} of {count} times {self.what} within {within_secs:g} s"
                raise Failed(said) from None
        return events

    def here(self) -> list:
        """What has come already."""
        events = []
        while not self.queue.empty():
            events.append(self.queue.get_nowait())
        return events
