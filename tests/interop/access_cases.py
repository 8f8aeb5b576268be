"""What Mosquitto's `acl_file` allows, at Mosquitto and at Whimbrel: random files, users, client identifiers and topics, and the
same decisions from both. A small client of its own, so that many thousand questions take seconds."""

import getpass
import random
import socket
import struct

from broker import HOST, Broker, free_port, mosquitto, wait_for_port, whimbrel
from case import Group, Failed, expect
from process import succeed

GROUP = Group("access", "whimbrel", "mosquitto", "mosquitto_passwd")

FILES, LINES_MAX, TOPICS, SEED = 40, 30, 40, 20_211
PASSWORD, ROOT = "word", "root"
USERS = ["alice", "bob", "a/b", "x+"]
CLIENTS = ["pump", "alice", "a/b", "y#", "b"]
LEVELS = ["a", "b", "alice", "pump", "x", "$own", ""]
WORDS = ["a", "b", "%c", "%u", "alice", "$own", "x%c", "pump"]
TIMEOUT_SECS = 20
NOT_AUTHORIZED = 0x87


class Client:
    """One connection of MQTT 5.0 that asks and waits for the answer."""

    def __init__(self, port, name, user=None, password=PASSWORD):
        self.socket = socket.create_connection((HOST, port), TIMEOUT_SECS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.read = b""
        flags, fields = 0x02, [name]
        if user is not None:
            flags, fields = flags | 0xC0, [name, user, password]
        body = text("MQTT") + bytes([5, flags, 0, 0, 0]) + b"".join(map(text, fields))
        self.send(0x10, body)
        kind, body = self.packet()
        if kind != 0x20 or body[1] != 0:
            raise Failed(f"CONNACK for {name} {user}: {kind:02x} {body.hex()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, first, body):
        length, rest = b"", len(body)
        while True:
            rest, digit = divmod(rest, 128)
            length += bytes([digit | (0x80 if rest else 0)])
            if not rest:
                break
        self.socket.sendall(bytes([first]) + length + body)

    def packet(self):
        """The first byte of the next packet without its flags, and its body."""
        while True:
            parsed = self._parse()
            if parsed:
                return parsed
            more = self.socket.recv(65_536)
            if not more:
                raise Failed("the broker has closed the connection")
            self.read += more

    def _parse(self):
        length, shift, at = 0, 0, 1
        while True:
            if at >= len(self.read):
                return None
            length |= (self.read[at] & 0x7F) << shift
            at += 1
            if not self.read[at - 1] & 0x80:
                break
            shift += 7
        if len(self.read) < at + length:
            return None
        first, body, self.read = self.read[0], self.read[at : at + length], self.read[at + length :]
        return first & 0xF0, body

    def publish(self, topic, retain=False) -> bool:
        """Whether the broker takes a message of QoS 1."""
        self.send(0x33 if retain else 0x32, text(topic) + b"\0\1\0" + topic.encode())
        kind, body = self.packet()
        if kind != 0x40:
            raise Failed(f"no PUBACK for {topic}: {kind:02x}")
        return len(body) < 3 or body[2] != NOT_AUTHORIZED

    def subscribe(self, *filters):
        """Subscribes at QoS 0; gives the codes and the topics that came at once."""
        self.send(0x82, b"\0\1\0" + b"".join(text(one) + b"\0" for one in filters))
        codes, topics = None, []
        while codes is None:
            kind, body = self.packet()
            if kind == 0x90:
                codes = list(body[3:])
            else:
                topics.append(topic_of(body))
        return codes, topics + self.heard()

    def heard(self) -> list:
        """The topics of all messages that were on their way."""
        self.send(0xC0, b"")
        topics = []
        while True:
            kind, body = self.packet()
            if kind == 0xD0:
                return topics
            topics.append(topic_of(body))


def text(words) -> bytes:
    raw = words.encode()
    return struct.pack(">H", len(raw)) + raw


def topic_of(body) -> str:
    return body[2 : 2 + struct.unpack(">H", body[:2])[0]].decode()


def drawn_filter(draw) -> str:
    levels = ["+" if draw.random() < 0.2 else draw.choice(WORDS) for _ in range(draw.randint(1, 4))]
    if draw.random() < 0.3:
        levels = ["#"] if draw.random() < 0.2 else [*levels, "#"]
    return "/".join(levels)


def drawn_file(draw) -> str:
    lines = []
    for _ in range(draw.randint(1, LINES_MAX)):
        if draw.random() < 0.2:
            lines.append(f"user {draw.choice(USERS)}")
            continue
        access = draw.choice(["read", "write", "readwrite", "deny", "deny", ""])
        kind = draw.choice(["topic", "pattern"])
        lines.append(" ".join(filter(None, [kind, access, drawn_filter(draw)])))
    # One who may do everything: a user's own lines come before all patterns.
    return "\n".join([*lines, f"user {ROOT}", "topic readwrite #", "topic readwrite $own/#"]) + "\n"


def drawn_topic(draw) -> str:
    return "/".join(draw.choice(LEVELS) for _ in range(draw.randint(1, 4))) or "a"


class Both:
    """Whimbrel and Mosquitto with one `acl_file`; clients without a name have a port of their own at Whimbrel."""

    def __init__(self, house, passwords, acl):
        conf, self.open_port = house.folder / "access.toml", free_port()
        listeners = f'[access]\nmosquitto_acl_file = "{acl}"\nclient_id_of = "anyone"\n[authentication]\npassword_file = "{passwords}"\n'

        def command(port):
            conf.write_text(
                f'{listeners}[[listener]]\naddress = "{HOST}:{port}"\n'
                f'[[listener]]\naddress = "{HOST}:{self.open_port}"\nauthentication = "anonymous"\n'
            )
            # `whimbrel` makes the folder of the store; its listener is the file's.
            return [part for part in whimbrel(house.whimbrel, "--config", conf)(port) if part not in ("--listen", f"{HOST}:{port}")]

        lines = ["allow_anonymous true", f"password_file {passwords}", f"acl_file {acl}", f"user {getpass.getuser()}"]
        self.ours, self.theirs = Broker(command), Broker(mosquitto("mosquitto", house.folder, *lines))

    def __enter__(self):
        self.ours.__enter__()
        wait_for_port(self.ours.running, HOST, self.open_port)
        self.theirs.__enter__()
        return self

    def __exit__(self, *_):
        self.ours.__exit__()
        self.theirs.__exit__()

    def decisions(self, subjects, topics):
        """At Whimbrel and at Mosquitto: what of the topics each subject may publish, is sent as retained and is sent live."""
        ours = decisions(lambda user: self.ours.port if user else self.open_port, subjects, topics)
        return ours, decisions(lambda _: self.theirs.port, subjects, topics)


def decisions(port_of, subjects, topics):
    made = {}
    with Client(port_of(ROOT), "root", ROOT) as root:
        for topic in topics:
            if not root.publish(topic, retain=True):
                raise Failed(f"the root of all may not publish to {topic}")
        for client, user in subjects:
            with Client(port_of(user), client, user) as subject:
                _, retained = subject.subscribe("#", "$own/#")
                for topic in topics:
                    root.publish(topic)
                live = subject.heard()
            with Client(port_of(user), client, user) as subject:
                published = [topic for topic in topics if subject.publish(topic)]
            made[client, user] = (sorted(published), sorted(retained), sorted(live))
    return made


def make_passwords(house):
    passwords = house.folder / "access-passwords"
    passwords.touch()
    for user in [*USERS, ROOT]:
        succeed(["mosquitto_passwd", "-b", passwords, user, PASSWORD])
    passwords.chmod(0o600)
    return passwords


@GROUP.case()
def random_acl_files_are_decided_alike(house):
    passwords, acl, draw = make_passwords(house), house.folder / "access-acl", random.Random(SEED)
    count = {True: 0, False: 0}
    for number in range(FILES):
        acl.write_text(drawn_file(draw))
        acl.chmod(0o600)
        topics = sorted({drawn_topic(draw) for _ in range(TOPICS)})
        subjects = [(draw.choice(CLIENTS), user) for user in [None, *USERS]]
        with Both(house, passwords, acl) as both:
            ours, theirs = both.decisions(subjects, topics)
        for subject in subjects:
            for what, mine, other in zip(("published", "sent as retained", "sent"), ours[subject], theirs[subject]):
                differ = sorted(set(mine) ^ set(other))
                if differ or mine != other:
                    raise Failed(f"file {number}: {what} for {subject}: {differ}: ours {mine}, theirs {other}\n{acl.read_text()}")
                count[True] += len(mine)
                count[False] += len(topics) - len(mine)
    expect(min(count.values()) > 2_000, True, f"both decisions are frequent: {count}")


@GROUP.case()
def a_subscription_is_granted_as_mosquitto_grants_it(house):
    passwords, acl = make_passwords(house), house.folder / "access-acl"
    acl.write_text("user alice\ntopic read a/#\ntopic deny a/secret\n")
    acl.chmod(0o600)
    with Both(house, passwords, acl) as both:
        for port in (both.ours.port, both.theirs.port):
            with Client(port, "pump", "alice") as client:
                expect(client.subscribe("#", "a/#", "b")[0], [0, 0, 0], "codes of SUBACK")
