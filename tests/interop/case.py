"""What a case is: a function with a name, the programs that it needs and the versions of MQTT that it speaks.

The runner is run.py; what the cases wait with is in waiting.py.
"""

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

V31, V311, V5 = "3.1", "3.1.1", "5"
ALL = (V31, V311, V5)


class Failed(AssertionError):
    """The broker or the tool did something else than the case expects."""


class Missing(Exception):
    """Something that the machine must offer is not there."""


@dataclass
class House:
    """What the cases find: the broker under test and the programs."""

    broker: object
    whimbrel: Path | None
    prepared: Path
    folder: Path
    numbers: itertools.count = field(default_factory=itertools.count)

    def place(self, name: str) -> str:
        """A topic below which nobody else publishes."""
        return f"interop/{name}/{next(self.numbers)}"


@dataclass(frozen=True)
class Case:
    """One thing to try, with the name it is reported under."""

    group: str
    name: str
    version: str | None
    needs: tuple[str, ...]
    run: Callable[[House], None]

    @property
    def title(self) -> str:
        return " ".join(part for part in (self.group, self.version, self.name) if part)


class Group:
    """The cases of one file. Use an instance's `case` as a decorator."""

    def __init__(self, name: str, *needs: str):
        self.name, self.needs, self.cases = name, needs, []

    def case(self, *versions: str, needs: tuple[str, ...] = ()):
        """Registers a function; once per version, which it gets as its second argument."""

        def register(function):
            name = function.__name__
            for version in versions or (None,):
                run = function if version is None else (lambda house, v=version: function(house, v))
                self.cases.append(Case(self.name, name, version, self.needs + needs, run))
            return function

        return register


def expect(actual, expected, what: str) -> None:
    """Fails with both values where they differ."""
    if actual != expected:
        raise Failed(f"{what}: expected {shorten(expected)}, got {shorten(actual)}")


def shorten(value) -> str:
    """A value's text, at most 300 characters of it."""
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:300]}… ({len(text)} characters)"
