"""Cases over TLS: tools, libraries and brokers of others with the certificates of `whimbrel cert dev`."""

import contextlib
import getpass

from broker import HOST, Broker, mosquitto
from case import ALL, V5, V311, Group, expect
from paho_client import PahoClient
from process import Running, run, succeed
from tools import PROTOCOL

GROUP = Group("TLS", "whimbrel", "mosquitto_pub", "mosquitto_sub")


def certificates(house):
    """A CA, a server's and a client's certificate, made once."""
    folder = house.folder / "certificates"
    if not folder.exists():
        succeed([house.whimbrel, "cert", "dev", folder, "--client", "lamp-7"])
    return folder


@contextlib.contextmanager
def broker(house, *lines):
    """A broker that speaks TLS; `lines` follow in its listener."""
    folder = certificates(house)
    number = next(house.numbers)
    store = house.folder / f"tls-store-{number}"

    def command(port):
        file = house.folder / f"tls-{number}.toml"
        listener = [
            f'address = "{HOST}:{port}"',
            'protocol = "mqtts"',
            f'certificate = "{folder / "server.pem"}"',
            f'key = "{folder / "server.key"}"',
            *lines,
        ]
        file.write_text("\n".join(["[[listener]]", *listener]) + "\n")
        return [house.whimbrel, "serve", "--config", file, "--store-directory", store]

    with Broker(command, HOST) as running:
        yield running


def clients(house, which):
    return [f'client_certificates = "{which}"', f'client_ca = "{certificates(house) / "ca.pem"}"']


def mosquitto_tool(house, name, broker, version, *flags):
    trust = ["--cafile", certificates(house) / "ca.pem"]
    return [name, "-h", broker.host, "-p", broker.port, "-V", PROTOCOL[version], *trust, *flags]


def own(house):
    folder = certificates(house)
    return ["--cert", folder / "client.pem", "--key", folder / "client.key"]


@GROUP.case(*ALL)
def mosquitto_tools_over_tls(house, version):
    with broker(house) as door:
        topic = house.place("tls")
        succeed(mosquitto_tool(house, "mosquitto_pub", door, version, "-t", topic, "-m", "hello", "-q", "1", "-r"))
        heard = succeed(mosquitto_tool(house, "mosquitto_sub", door, version, "-t", topic, "-C", "1", "-W", "20"))
        expect(heard, b"hello\n", "what was retained")


@GROUP.case(V311, V5)
def mosquitto_pub_with_and_without_a_certificate(house, version):
    with broker(house, *clients(house, "required"), 'identity = "common_name"', 'identity_as = "client_id"') as door:
        words = ["-t", house.place("tls"), "-m", "x", "-q", "1"]
        succeed(mosquitto_tool(house, "mosquitto_pub", door, version, *words, *own(house), "-i", "lamp-7"))
        refused = run(mosquitto_tool(house, "mosquitto_pub", door, version, *words, *own(house), "-i", "lamp-8"))
        expect(refused.returncode != 0, True, "another client identifier is refused")
        refused = run(mosquitto_tool(house, "mosquitto_pub", door, version, *words, "-i", "lamp-7"))
        expect(refused.returncode != 0, True, "no certificate is refused")


@GROUP.case(*ALL, needs=("paho-mqtt",))
def paho_over_tls(house, version):
    folder = certificates(house)
    with broker(house, *clients(house, "required")) as door:
        client = PahoClient(door, version, "paho-tls")
        client.client.tls_set(folder / "ca.pem", folder / "client.pem", folder / "client.key", alpn_protocols=["mqtt"])
        with client:
            expect(client.client.socket().selected_alpn_protocol(), "mqtt", "the protocol that was agreed on")
            topic = house.place("tls")
            client.client.subscribe(topic, 1)
            client.subacks.next()
            payload = bytes(range(256)) * 400
            client.client.publish(topic, payload, 1)
            expect(client.messages.next().payload == payload, True, "100 kB come back as they were")


@GROUP.case("1.2", "1.3", needs=("openssl",))
def openssl_agrees_on_a_protocol_and_resumes(house, version):
    with broker(house) as door:
        session = house.folder / f"session-{version}"
        connect = ["openssl", "s_client", "-connect", f"{door.host}:{door.port}", "-CAfile", certificates(house) / "ca.pem"]
        connect += ["-verify_return_error", "-verify_hostname", "localhost", "-alpn", "mqtt", f"-tls{version.replace('.', '_')}"]
        # CONNECT of 3.1.1; the answer is awaited, so that a ticket of TLS 1.3 has come.
        hello = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01o\xe0\x00"
        first = succeed([*connect, "-sess_out", session, "-ign_eof"], stdin=hello)
        expect(b"ALPN protocol: mqtt" in first, True, "the protocol is agreed on")
        expect(b"\x20\x02\x00\x00" in first, True, "CONNACK has come")
        again = succeed([*connect, "-sess_in", session, "-ign_eof"], stdin=hello)
        expect(b"Reused, " in again, True, "the session is resumed")


@GROUP.case(needs=("openssl",))
def openssl_is_refused_another_protocol_old_tls_and_renegotiation(house):
    with broker(house) as door:
        connect = ["openssl", "s_client", "-connect", f"{door.host}:{door.port}", "-CAfile", certificates(house) / "ca.pem"]
        expect(run([*connect, "-alpn", "http/1.1"]).returncode != 0, True, "another protocol is refused")
        old = [*connect, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]
        expect(run(old).returncode != 0, True, "TLS 1.1 is refused")
        asked = run([*connect, "-tls1_2"], stdin=b"R\n")
        expect(b"Secure Renegotiation IS supported" in asked.stdout, True, "the extension that forbids the attack")
        expect(asked.returncode != 0, True, "renegotiation is refused")


@GROUP.case(V5)
def whimbrel_tools_say_what_is_wrong_with_a_certificate(house, version):
    folder = certificates(house)
    with broker(house, *clients(house, "optional")) as door:
        command = [house.whimbrel, "pub", "-L", f"mqtts://{door.host}:{door.port}/{house.place('tls')}", "-m", "x"]
        succeed([*command, "--cafile", folder / "ca.pem", *own(house)])
        fingerprint = succeed(["openssl", "x509", "-in", folder / "server.pem", "-noout", "-fingerprint", "-sha256"])
        succeed([*command, "--pin", fingerprint.decode().strip().split("=")[1]])
        for flags, words in [
            (["--cafile", folder / "server.pem"], "was issued by CN=Whimbrel development CA"),
            (["--cafile", folder / "ca.pem", "--tls-name", "other"], "and not for `other`"),
            (["--cafile", folder / "ca.pem", "--cert", folder / "server.pem", "--key", folder / "server.key"], "does not accept our"),
        ]:
            told = run([*command, *flags])
            expect(told.returncode != 0 and words in told.stderr.decode(), True, f"{told.stderr!r} says {words!r}")
        log = house.folder / "keys"
        succeed(["env", f"SSLKEYLOGFILE={log}", *command, "--cafile", folder / "ca.pem"])
        expect("CLIENT_TRAFFIC_SECRET_0" in log.read_text(), True, "the secrets are in the file")


@GROUP.case(V311, V5, needs=("mosquitto",))
def whimbrel_tools_at_mosquitto_over_tls(house, version):
    folder = certificates(house)
    # Started by root it would become another user, who may not read the key.
    lines = [f"user {getpass.getuser()}", f"cafile {folder / 'ca.pem'}", f"certfile {folder / 'server.pem'}", f"keyfile {folder / 'server.key'}"]
    with Broker(mosquitto("mosquitto", house.folder, *lines, "require_certificate true"), HOST) as door:
        at = ["-L", f"mqtts://{door.host}:{door.port}/{house.place('tls')}", "-V", PROTOCOL[version]]
        trust = ["--cafile", folder / "ca.pem", *own(house)]
        with Running([house.whimbrel, "sub", *at, *trust, "-C", "1", "-W", "20", "-d"]) as listener:
            listener.line(lambda line: "received" in line and "SubAck" in line)
            succeed([house.whimbrel, "pub", *at, *trust, "-m", "hello", "-q", "2"])
            listener.line(lambda line: line == "hello")
        expect(run([house.whimbrel, "pub", *at, "--cafile", folder / "ca.pem", "-m", "x"]).returncode != 0, True, "no certificate")
