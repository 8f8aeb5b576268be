"""Cases behind HAProxy: it passes connections on and says whose they are (PROXY protocol)."""

import contextlib

import tls_cases
from broker import HOST, Broker, free_port
from case import V5, Group, expect
from process import Running, run, succeed

GROUP = Group("HAProxy", "whimbrel", "haproxy")


@contextlib.contextmanager
def behind(house, server, *, bind="", lines=(), trusted=HOST):
    """A broker behind HAProxy; gives HAProxy's address and the broker's. `server` and `bind` are options of HAProxy's, `lines`
    follow in the broker's listener."""
    number = next(house.numbers)

    def broker(port):
        file = house.folder / f"haproxy-{number}.toml"
        listener = [f'address = "{HOST}:{port}"', "proxy_protocol = true", f'proxy_trusted = "{trusted}"', *lines]
        control = ["[control]", f'socket = "haproxy-{number}.sock"']
        file.write_text("\n".join(["[[listener]]", *listener, *control]) + "\n")
        return [house.whimbrel, "serve", "--config", file, "--store-directory", house.folder / f"haproxy-store-{number}"]

    with Broker(broker, HOST) as inner:

        def proxy(port):
            file = house.folder / f"haproxy-{number}.cfg"
            settings = ["mode tcp", f"bind {HOST}:{port} {bind}", "timeout connect 5s", "timeout client 1h", "timeout server 1h"]
            lines = [*settings, f"server whimbrel {HOST}:{inner.port} {server}"]
            file.write_text("\n".join(["listen mqtt", *(f"    {line}" for line in lines)]) + "\n")
            return ["haproxy", "-db", "-f", file]

        with Broker(proxy, HOST) as outer:
            outer.socket = house.folder / f"haproxy-{number}.sock"
            yield outer, inner


def shown(house, door, name):
    """The address that the broker shows of a client."""
    return succeed([house.whimbrel, "ctl", "--socket", door.socket, "client", name]).decode()


@GROUP.case("send-proxy", "send-proxy-v2", "check send-proxy-v2 check-send-proxy inter 100ms")
def the_broker_sees_the_client_and_not_the_proxy(house, server):
    with behind(house, server) as (door, broker):
        topic = house.place("haproxy")
        command = [house.whimbrel, "sub", "-h", "localhost", "-p", door.port, "-t", topic, "-i", "far", "-d", "-C", "1", "-W", "20"]
        with Running(command) as listener:
            listener.line(lambda line: "received" in line and "SubAck" in line)
            # HAProxy's own connection to the broker has another port than the client's to HAProxy.
            seen = shown(house, door, "far")
            ports = peers(door.port)
            expect([port for port in ports if f":{port}" in seen] != [], True, f"one of {ports} is in {seen!r}")
            succeed([house.whimbrel, "pub", "-h", "localhost", "-p", door.port, "-t", topic, "-m", "hello", "-q", "1"])
            listener.line(lambda line: line == "hello")


def peers(port):
    """The ports from which somebody is connected to this one."""
    rows = (line.split() for line in open("/proc/net/tcp").read().splitlines()[1:])
    return [int(row[1].split(":")[1], 16) for row in rows if int(row[2].split(":")[1], 16) == port and row[3] == "01"]


@GROUP.case(V5)
def who_comes_past_the_proxy_is_refused(house, version):
    with behind(house, "send-proxy-v2", trusted="192.0.2.1") as (door, broker):
        for port in (door.port, broker.port):
            told = run([house.whimbrel, "pub", "-h", "localhost", "-p", port, "-t", "x", "-m", "x"])
            expect(told.returncode != 0, True, "nobody is let in")
    with behind(house, "send-proxy-v2") as (door, broker):
        told = run([house.whimbrel, "pub", "-h", "localhost", "-p", broker.port, "-t", "x", "-m", "x"])
        expect(told.returncode != 0, True, "MQTT without a header is refused")


@GROUP.case(V5)
def the_certificate_that_the_proxy_has_seen_counts(house, version):
    folder = tls_cases.certificates(house)
    pair = house.folder / "haproxy.pem"
    pair.write_text((folder / "server.pem").read_text() + (folder / "server.key").read_text())
    bind = f"ssl crt {pair} ca-file {folder / 'ca.pem'} verify optional"
    lines = ['client_certificates = "required"', 'identity = "common_name"', 'identity_as = "client_id"']
    with behind(house, "send-proxy-v2-ssl-cn", bind=bind, lines=lines) as (door, broker):
        command = [house.whimbrel, "pub", "-L", f"mqtts://localhost:{door.port}/{house.place('haproxy')}", "-m", "x", "-q", "1"]
        trust = ["--cafile", folder / "ca.pem"]
        succeed([*command, *trust, *tls_cases.own(house), "-i", "lamp-7"])
        told = run([*command, *trust, *tls_cases.own(house), "-i", "lamp-8"])
        expect(told.returncode != 0, True, "another client identifier is refused")
        expect(run([*command, *trust, "-i", "lamp-7"]).returncode != 0, True, "no certificate is refused")
