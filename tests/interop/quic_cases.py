"""Cases over QUIC: aioquic, which is no MQTT client, so that the packets are written here by hand."""

import contextlib
import json
import sys
from pathlib import Path

from broker import HOST, Broker
from case import Group, expect
from process import run, succeed
from tls_cases import certificates

GROUP = Group("QUIC", "whimbrel", "aioquic")


@contextlib.contextmanager
def broker(house, *lines):
    """A broker that speaks QUIC, and MQTT over TCP on the port of the same number; `lines` follow in the listener of QUIC."""
    folder = certificates(house)
    number = next(house.numbers)
    store = house.folder / f"quic-store-{number}"

    def command(port):
        file = house.folder / f"quic-{number}.toml"
        listener = [
            "[[listener]]",
            f'address = "{HOST}:{port}"',
            'protocol = "quic"',
            f'certificate = "{folder / "server.pem"}"',
            f'key = "{folder / "server.key"}"',
            *lines,
            "[[listener]]",
            f'address = "{HOST}:{port}"',
        ]
        file.write_text("\n".join(listener) + "\n")
        return [house.whimbrel, "serve", "--config", file, "--store-directory", store]

    with Broker(command, HOST) as running:
        yield running


def told(house, what, door, *flags):
    """What the client of aioquic tells of its run."""
    client = Path(__file__).with_name("quic_client.py")
    command = [sys.executable, client, what, door.host, str(door.port), certificates(house) / "ca.pem", *flags]
    return json.loads(succeed(command))


@GROUP.case()
def aioquic_publishes_and_hears_itself(house):
    with broker(house) as door:
        said = told(house, "echo", door)
        expect(said["alpn"], "mqtt", "the protocol that was agreed on")
        expect(said["connack"], "20020000", "CONNACK")
        expect(said["echoed"], True, "100 kB come back as they were")


@GROUP.case()
def aioquic_changes_its_address_and_keeps_its_connection(house):
    with broker(house) as door:
        said = told(house, "move", door)
        expect(said["moved"], True, "it sends from another port")
        expect(said["heard"], True, "what is published afterwards comes by the same connection")


@GROUP.case()
def aioquic_is_refused_another_protocol_and_early_data(house):
    with broker(house) as door:
        said = told(house, "other", door)
        expect(said["refused"], True, "another protocol is refused")
        said = told(house, "again", door)
        expect(said["resumed"], True, "who comes back resumes its session of TLS")
        expect(said["early"], False, "early data is not offered")


@GROUP.case()
def aioquic_opens_a_second_stream_in_vain(house):
    with broker(house) as door:
        expect(told(house, "streams", door)["allowed"], 1, "streams that a client may open")


@GROUP.case(needs=("mosquitto_pub",))
def whimbrel_over_quic_and_mosquitto_over_tcp(house):
    with broker(house) as door:
        topic = house.place("quic")
        words = ["-h", door.host, "-p", str(door.port), "-t", topic, "-m", "hello", "-r", "-q", "1"]
        succeed(["mosquitto_pub", *words])
        url = f"quic://localhost:{door.port}/{topic}"
        trust = ["--cafile", certificates(house) / "ca.pem"]
        heard = succeed([house.whimbrel, "sub", "-L", url, *trust, "-C", "1", "-W", "20"])
        expect(heard, b"hello\n", "what was retained")
        succeed([house.whimbrel, "pub", "-L", url, *trust, "-m", "again", "-r", "-q", "2"])
        heard = succeed([house.whimbrel, "sub", "-L", url, *trust, "-C", "1", "-W", "20"])
        expect(heard, b"again\n", "what was published by QUIC")
        refused = run([house.whimbrel, "pub", "-L", url, "-m", "x"])
        expect(refused.returncode != 0 and b"not trusted here" in refused.stderr, True, "an unknown CA is named")
