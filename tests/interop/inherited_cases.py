"""Sockets that somebody else has opened for the broker, as systemd does, and what it says of its state."""

import contextlib
import os
import signal
import socket
import sys

from broker import HOST
from case import Group, expect
from process import Running, run, succeed
from tls_cases import certificates

GROUP = Group("inherited sockets", "whimbrel", "mosquitto_pub", "mosquitto_sub")

# The sockets become 3, 4, ... in the process that then becomes the broker.
WRAPPER = """
import fcntl, os, sys
count = int(sys.argv[1])
os.environ["LISTEN_FDS"], os.environ["LISTEN_PID"] = str(count), str(os.getpid())
given = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 64) for number in sys.argv[2:2 + count]]
for at, number in enumerate(given):
    os.dup2(number, 3 + at)
os.execv(sys.argv[2 + count], sys.argv[2 + count:])
"""


def listening(family=socket.AF_INET, kind=socket.SOCK_STREAM, place=(HOST, 0)):
    made = socket.socket(family, kind)
    made.bind(place)
    if kind == socket.SOCK_STREAM:
        made.listen(64)
    return made


@contextlib.contextmanager
def broker(house, lines, sockets, notify=None):
    number = next(house.numbers)
    file = house.folder / f"inherited-{number}.toml"
    file.write_text("\n".join(lines) + "\n")
    store = house.folder / f"inherited-store-{number}"
    numbers = [str(one.fileno()) for one in sockets]
    command = [sys.executable, "-c", WRAPPER, str(len(sockets)), *numbers]
    command += [house.whimbrel, "serve", "--config", file, "--store-directory", store]
    environment = dict(os.environ, **({"NOTIFY_SOCKET": notify} if notify else {}))
    with Running(command, pass_fds=[one.fileno() for one in sockets], env=environment) as running:
        running.line(lambda line: " is ready with " in line)
        yield running


@GROUP.case()
def every_kind_of_socket_is_taken_and_outlives_the_broker(house):
    folder = certificates(house)
    path = house.folder / f"inherited-{next(house.numbers)}.sock"
    tcp, unix, udp = listening(), listening(socket.AF_UNIX, place=str(path)), listening(kind=socket.SOCK_DGRAM)
    with tcp, unix, udp:
        ports = [one.getsockname()[1] for one in (tcp, udp)]
        lines = ["[[listener]]", f'address = "{HOST}:{ports[0]}"', "[[listener]]", f'address = "unix:{path}"', "[[listener]]"]
        lines += [f'address = "{HOST}:{ports[1]}"', 'protocol = "quic"', f'certificate = "{folder / "server.pem"}"']
        lines += [f'key = "{folder / "server.key"}"']
        for turn in ("first", "again"):
            topic = house.place("inherited")
            with broker(house, lines, [tcp, unix, udp]):
                succeed(["mosquitto_pub", "-h", HOST, "-p", str(ports[0]), "-t", topic, "-m", turn, "-r", "-q", "1"])
                for url in (f"unix:{path}", f"quic://localhost:{ports[1]}"):
                    trust = ["--cafile", folder / "ca.pem"] if url.startswith("quic") else []
                    heard = succeed([house.whimbrel, "sub", "-L", url, *trust, "-t", topic, "-C", "1", "-W", "20"])
                    expect(heard, f"{turn}\n".encode(), f"what was retained, by {url}")
            expect(path.exists(), True, "the file of the socket is not the broker's to delete")


@GROUP.case()
def who_comes_before_the_broker_waits_for_it(house):
    with listening() as tcp:
        port = tcp.getsockname()[1]
        topic = house.place("inherited")
        waiting = Running(["mosquitto_sub", "-h", HOST, "-p", str(port), "-t", topic, "-C", "1", "-W", "20"])
        with waiting, broker(house, ["[[listener]]", f'address = "{HOST}:{port}"'], [tcp]):
            succeed(["mosquitto_pub", "-h", HOST, "-p", str(port), "-t", topic, "-m", "hello", "-r", "-q", "1"])
            waiting.line(lambda line: line == "hello")


@GROUP.case()
def a_socket_without_a_listener_is_warned_of(house):
    with listening() as tcp, listening() as other:
        ports = [one.getsockname()[1] for one in (tcp, other)]
        with broker(house, ["[[listener]]", f'address = "{HOST}:{ports[0]}"'], [tcp, other]) as running:
            running.line(lambda line: f"no listener: {HOST}:{ports[1]} (TCP)" in line)


@GROUP.case()
def whoever_supervises_hears_that_it_is_ready_and_that_it_ends(house):
    place = house.folder / f"notify-{next(house.numbers)}"
    with listening() as tcp, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(place))
        heard.settimeout(20)
        lines = ["[[listener]]", f'address = "{HOST}:{tcp.getsockname()[1]}"']
        with broker(house, lines, [tcp], str(place)) as running:
            expect(heard.recv(4096).strip(), b"READY=1", "when clients can connect")
            running.send(signal.SIGTERM)
            expect(heard.recv(4096).strip(), b"STOPPING=1", "when it begins to end")
            expect(running.finish(), 0, "its exit code")


@GROUP.case()
def what_is_no_socket_is_left_alone(house):
    with open(house.folder / f"plain-{next(house.numbers)}", "w+b") as plain, listening() as free:
        port = free.getsockname()[1]
        free.close()
        with broker(house, ["[[listener]]", f'address = "{HOST}:{port}"'], [plain]) as running:
            running.line(lambda line: "neither TCP, UDP nor a Unix socket" in line)
            expect(run(["mosquitto_pub", "-h", HOST, "-p", str(port), "-t", "t", "-m", "x"]).returncode, 0, "it serves")
