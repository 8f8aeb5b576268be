"""Cases for SCRAM by enhanced authentication: raw packets of MQTT 5.0, and the proof by Python's own hashlib and hmac."""

import base64
import hashlib
import hmac
import socket

from broker import HOST, Broker, whimbrel
from case import Group, expect
from process import succeed
from waiting import DEADLINE_SECS

GROUP = Group("scram", "whimbrel")

PASSWORD = "correct horse battery"
CONNECT, CONNACK, AUTH = 0x10, 0x20, 0xF0


def text(value) -> bytes:
    value = value.encode() if isinstance(value, str) else value
    return len(value).to_bytes(2, "big") + value


def packet(kind: int, body: bytes) -> bytes:
    assert len(body) < 16_384
    length = bytes([len(body)]) if len(body) < 128 else bytes([len(body) % 128 | 0x80, len(body) // 128])
    return bytes([kind]) + length + body


def properties(method: str, data: bytes) -> bytes:
    block = b"\x15" + text(method) + b"\x16" + text(data)
    assert len(block) < 16_384
    length = bytes([len(block)]) if len(block) < 128 else bytes([len(block) % 128 | 0x80, len(block) // 128])
    return length + block


def receive(link) -> tuple[int, bytes]:
    kind, length, shift = link.recv(1)[0], 0, 0
    while True:
        byte = link.recv(1)[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    body = b""
    while len(body) < length:
        body += link.recv(length - len(body))
    return kind & 0xF0, body


def data_of(body: bytes) -> bytes:
    """The authentication data among the properties, wherever they are."""
    at = body.find(b"\x16", body.find(b"SCRAM-SHA-"))
    length = int.from_bytes(body[at + 1 : at + 3], "big")
    return body[at + 3 : at + 3 + length]


def login(broker, name: str, user: str, password: str) -> int:
    """The code of CONNACK; where it is 0, the server has proved itself."""
    method, bare = f"SCRAM-{name.upper()}", f"n={user},r=a-nonce-of-python"
    digest = name.replace("-", "")
    with socket.create_connection((broker.host, broker.port), DEADLINE_SECS) as link:
        head = text("MQTT") + bytes([5, 0x02, 0, 60]) + properties(method, f"n,,{bare}".encode())
        link.sendall(packet(CONNECT, head + text("scram")))
        kind, body = receive(link)
        expect((kind, body[0]), (AUTH, 0x18), "the server's question")
        question = data_of(body).decode()
        parts = dict(part.split("=", 1) for part in question.split(","))
        salted = hashlib.pbkdf2_hmac(digest, password.encode(), base64.b64decode(parts["s"]), int(parts["i"]))
        sign = lambda key, what: hmac.new(key, what, digest).digest()  # noqa: E731
        client_key, server_key = sign(salted, b"Client Key"), sign(salted, b"Server Key")
        last = f"c=biws,r={parts['r']}"
        said = f"{bare},{question},{last}".encode()
        signature = sign(hashlib.new(digest, client_key).digest(), said)
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        answer = f"{last},p={base64.b64encode(proof).decode()}".encode()
        link.sendall(packet(AUTH, b"\x18" + properties(method, answer)))
        kind, body = receive(link)
        expect(kind, CONNACK, "the answer to the proof")
        if body[1] == 0:
            expected = b"v=" + base64.b64encode(sign(server_key, said))
            expect(data_of(body), expected, "the proof of the server")
        return body[1]


@GROUP.case()
def a_proof_by_hashlib_opens_and_a_wrong_one_does_not(house):
    file = house.folder / "scram"
    for user, name in (("anna", "sha-256"), ("ben", "sha-512")):
        command = [house.whimbrel, "passwd", f"--scram={name}", file, user]
        succeed(command, stdin=PASSWORD.encode() + b"\n")
    with Broker(whimbrel(house.whimbrel, "--password-file", file), HOST) as broker:
        expect(login(broker, "sha-256", "anna", PASSWORD), 0, "anna's password")
        expect(login(broker, "sha-512", "ben", PASSWORD), 0, "ben's password")
        expect(login(broker, "sha-256", "anna", "wrong"), 0x86, "a wrong password")
        expect(login(broker, "sha-256", "nobody", PASSWORD), 0x86, "nobody's password")
