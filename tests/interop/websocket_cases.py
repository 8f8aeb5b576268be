"""Cases over WebSocket, without and with TLS: Paho, MQTT.js in Node.js and in a page of a browser."""

import contextlib
import json
from pathlib import Path

import tls_cases
from broker import HOST, Broker
from case import ALL, V5, V311, Group, expect
from paho_client import PahoClient
from process import Running, run, succeed
from tools import PROTOCOL

SCRIPTS = Path(__file__).resolve().parent / "mqttjs"
# All cases of MQTT.js together; some wait for seconds to pass.
SCRIPT_SECS = 300.0

GROUP = Group("WebSocket", "whimbrel")


@contextlib.contextmanager
def broker(house, protocol, *lines):
    """A broker that speaks WebSocket; `lines` follow in its listener."""
    folder = tls_cases.certificates(house)
    number = next(house.numbers)
    pair = [f'certificate = "{folder / "server.pem"}"', f'key = "{folder / "server.key"}"'] if protocol == "wss" else []

    def command(port):
        file = house.folder / f"websocket-{number}.toml"
        listener = [f'address = "{HOST}:{port}"', f'protocol = "{protocol}"', *pair, *lines]
        file.write_text("\n".join(["[[listener]]", *listener]) + "\n")
        return [house.whimbrel, "serve", "--config", file, "--store-directory", house.folder / f"websocket-store-{number}"]

    with Broker(command, HOST) as running:
        yield running


def trust(house):
    return ["env", f"NODE_EXTRA_CA_CERTS={tls_cases.certificates(house) / 'ca.pem'}"]


def paho(house, door, protocol, version):
    client = PahoClient(door, version, "paho-ws", transport="websockets")
    client.client.ws_set_options(path="/mqtt")
    if protocol == "wss":
        client.client.tls_set(tls_cases.certificates(house) / "ca.pem")
    return client


@GROUP.case("ws", "wss", needs=("paho-mqtt",))
def paho_over_websocket(house, protocol):
    with broker(house, protocol) as door:
        for version in ALL:
            topic = house.place("ws")
            with paho(house, door, protocol, version) as client:
                client.subscribe(topic, 2)
                payload = bytes(range(256)) * 400
                for qos in (0, 1, 2):
                    client.client.publish(topic, payload, qos)
                    expect(client.messages.next().payload == payload, True, "100 kB come back as they were")


@GROUP.case("ws", "wss", needs=("node", "MQTT.js"))
def mqttjs_over_websocket(house, protocol):
    with broker(house, protocol) as door:
        url = f"{protocol}://{door.host}:{door.port}/mqtt"
        said = succeed([*trust(house), "node", SCRIPTS / "cases.mjs", url, house.prepared / "mqttjs"], within_secs=SCRIPT_SECS)
        outcomes = [json.loads(line) for line in said.decode().splitlines()]
        expect(len(outcomes) > 20, True, "all cases have run")
        expect([outcome for outcome in outcomes if "failure" in outcome], [], "cases that failed")


@GROUP.case("ws", "wss", needs=("node", "MQTT.js", "playwright-core", "chromium"))
def a_page_in_a_browser(house, protocol):
    with broker(house, protocol) as door:
        url = f"{protocol}://{door.host}:{door.port}/mqtt"
        said = succeed(["node", SCRIPTS / "page.mjs", url, house.prepared / "mqttjs"], within_secs=120)
        seen = json.loads(said.decode().splitlines()[-1])
        expect(seen["own"], {"qos": [0, 1, 2], "bytes": 300_000, "extensions": "", "protocol": "mqtt", "clean": True}, "the page")
        expect(seen["foreign"], "refused", "a page of another host")


@GROUP.case("ws", needs=("node", "MQTT.js", "playwright-core", "chromium"))
def a_page_of_a_listed_origin(house, protocol):
    with broker(house, protocol, 'origins = "*"') as door:
        url = f"{protocol}://{door.host}:{door.port}/mqtt"
        said = succeed(["node", SCRIPTS / "page.mjs", url, house.prepared / "mqttjs"], within_secs=120)
        expect(json.loads(said.decode().splitlines()[-1])["foreign"], "connected", "a page of another host")


@GROUP.case(V311, V5)
def whimbrel_tools_over_websocket(house, version):
    for protocol in ("ws", "wss"):
        with broker(house, protocol, 'path = "/broker"') as door:
            at = ["-L", f"{protocol}://{door.host}:{door.port}/{house.place('ws')}", "-V", PROTOCOL[version]]
            if protocol == "wss":
                at += ["--cafile", tls_cases.certificates(house) / "ca.pem"]
            there = ["--ws-path", "/broker"]
            with Running([house.whimbrel, "sub", *at, *there, "-C", "1", "-W", "20", "-d"]) as listener:
                listener.line(lambda line: "received" in line and "SubAck" in line)
                succeed([house.whimbrel, "pub", *at, *there, "-m", "hello", "-q", "2"])
                listener.line(lambda line: line == "hello")
            told = run([house.whimbrel, "pub", *at, "-m", "x"])
            expect(told.returncode != 0 and "MQTT is at /broker" in told.stderr.decode(), True, f"{told.stderr!r}")
