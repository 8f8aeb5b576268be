"""Cases on an address that is not loopback, in a network that the test makes for itself and that nobody else is in.

A network namespace belongs to a thread, and so to the programs that it starts: each case runs in a thread of its own,
and the namespace is gone when the last of them is.
"""

import ctypes
import socket
import threading

from broker import HOST, Broker, whimbrel
from case import Failed, Group, Missing, expect
from password_cases import expect_only_alice, knows, set_password
from process import run, succeed
from tools import Tools

GROUP = Group("second address", "whimbrel", "ip", "a network namespace", "mosquitto_pub", "mosquitto_sub")

ADDRESS = "10.99.0.1"
CLONE_NEWNET = 0x40000000
MOSQUITTO = (["mosquitto_pub"], ["mosquitto_sub"])


def enter_namespace() -> None:
    """Moves this thread into a new, empty network."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise Missing(f"no network namespace: error {ctypes.get_errno()} (it takes root)")


def can_enter() -> bool:
    return in_thread(enter_namespace) is None


def in_thread(function, *arguments) -> Exception | None:
    """What the function raised, run in a thread that ends with it."""
    raised = []

    def body():
        try:
            function(*arguments)
        except Exception as error:  # noqa: BLE001: it is raised again where the case is awaited.
            raised.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    return raised[0] if raised else None


def case(function):
    """Registers a case that runs in a network with loopback and one address more."""

    def inside(house):
        enter_namespace()
        succeed(["ip", "link", "set", "lo", "up"])
        succeed(["ip", "address", "add", f"{ADDRESS}/32", "dev", "lo"])
        function(house)

    def outside(house):
        raised = in_thread(inside, house)
        if raised:
            raise raised

    outside.__name__ = function.__name__
    GROUP.case()(outside)


def answers(host: str, port: int) -> bool:
    with socket.socket() as knock:
        knock.settimeout(1.0)
        return knock.connect_ex((host, port)) == 0


@case
def without_a_configuration_only_loopback_is_open(house):
    with Broker(lambda _: [house.whimbrel], HOST, port=1883) as broker:
        expect(answers(ADDRESS, broker.port), False, "the second address answers")
        tools = Tools(broker, "5", [house.whimbrel, "pub"], ["mosquitto_sub"])
        with tools.subscribe("a") as subscriber:
            tools.publish("a", "hello")
            subscriber.expect("hello")


@case
def an_open_listener_does_not_start(house):
    for address in (ADDRESS, "0.0.0.0", "[::]"):
        done = run([house.whimbrel, "serve", "--listen", f"{address}:18830", "--durability", "memory"])
        said = (done.stdout + done.stderr).decode()
        expect(done.returncode != 0, True, f"the start on {address} is refused")
        for word in ("password", "danger"):
            if word not in said:
                raise Failed(f"what it says does not tell of “{word}”: {said}")


@case
def a_phone_gets_in_with_its_password(house):
    file = house.folder / "house"
    set_password(house, file, "alice")
    with Broker(whimbrel(house.whimbrel, "--password-file", file, host="0.0.0.0"), ADDRESS) as broker:
        for version in ("3.1", "3.1.1", "5"):
            expect_only_alice(broker, version)
        login = ["-u", "alice", "-P", "correct horse battery"]
        publisher, subscriber = ([*part, *login] for part in MOSQUITTO)
        tools = Tools(broker, "3.1.1", publisher, subscriber)
        with tools.subscribe("kitchen/#") as phone:
            tools.publish("kitchen/light", "on")
            phone.expect("on")


@case
def the_key_with_danger_in_its_name_opens_it(house):
    command = whimbrel(house.whimbrel, "--danger-allow-anonymous-on-network", host=ADDRESS)
    with Broker(command, ADDRESS) as broker:
        expect(knows(broker, "5"), True, "a nameless client gets in")
