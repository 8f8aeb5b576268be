"""A client of aioquic that speaks MQTT 3.1.1 by hand. Prints what came of it as JSON."""

import asyncio
import json
import socket
import sys

from aioquic.asyncio.client import connect
from aioquic.quic.configuration import QuicConfiguration

DEADLINE = 20


def packet(head, body):
    length, rest = b"", len(body)
    while True:
        rest, digit = divmod(rest, 128)
        length += bytes([digit | (128 if rest else 0)])
        if not rest:
            return bytes([head]) + length + body


def text(value):
    return len(value).to_bytes(2, "big") + value


def hello(client_id):
    return packet(0x10, text(b"MQTT") + b"\x04\x02\x00\x3c" + text(client_id))


def subscribe(topic):
    return packet(0x82, b"\x00\x01" + text(topic) + b"\x00")


def publish(topic, payload):
    return packet(0x30, text(topic) + payload)


class Client:
    """One connection and its stream."""

    def __init__(self, protocol, reader, writer):
        self.protocol, self.reader, self.writer = protocol, reader, writer

    async def say(self, data, count):
        self.writer.write(data)
        return await asyncio.wait_for(self.reader.readexactly(count), DEADLINE)


def configuration(ca, alpn="mqtt"):
    made = QuicConfiguration(is_client=True, alpn_protocols=[alpn], idle_timeout=60, server_name="localhost")
    made.load_verify_locations(ca)
    return made


async def begin(protocol, client_id):
    reader, writer = await protocol.create_stream()
    client = Client(protocol, reader, writer)
    return client, await client.say(hello(client_id), 4)


async def echo(host, port, ca):
    async with connect(host, port, configuration=configuration(ca)) as protocol:
        client, connack = await begin(protocol, b"aioquic")
        await client.say(subscribe(b"t"), 5)
        sent = publish(b"t", bytes(range(256)) * 400)
        echoed = await client.say(sent, len(sent))
        alpn = protocol._quic.tls.alpn_negotiated
        return {"alpn": alpn, "connack": connack.hex(), "echoed": echoed == sent}


async def move(host, port, ca):
    async with connect(host, port, configuration=configuration(ca)) as protocol:
        client, _ = await begin(protocol, b"mover")
        await client.say(subscribe(b"t"), 5)
        before = protocol._transport.get_extra_info("sockname")[:2]
        # Another socket, as after the way from one network into another.
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: protocol, family=socket.AF_INET6, local_addr=("::", 0))
        after = transport.get_extra_info("sockname")[:2]
        protocol.change_connection_id()
        pong = await client.say(b"\xc0\x00", 2)
        sent = publish(b"t", b"after the move")
        heard = await client.say(sent, len(sent))
        return {"moved": before[1] != after[1] and pong == b"\xd0\x00", "heard": heard == sent}


async def other(host, port, ca):
    try:
        async with connect(host, port, configuration=configuration(ca, "other")):
            return {"refused": False}
    except ConnectionError:
        return {"refused": True}


async def again(host, port, ca):
    tickets = []
    first = configuration(ca)
    async with connect(host, port, configuration=first, session_ticket_handler=tickets.append) as protocol:
        client, _ = await begin(protocol, b"first")
        while not tickets:
            await client.say(b"\xc0\x00", 2)
    second = configuration(ca)
    second.session_ticket = tickets[0]
    async with connect(host, port, configuration=second) as protocol:
        await begin(protocol, b"second")
        tls = protocol._quic.tls
        return {"resumed": tls.session_resumed, "early": bool(tickets[0].max_early_data_size)}


async def streams(host, port, ca):
    async with connect(host, port, configuration=configuration(ca)) as protocol:
        await begin(protocol, b"streams")
        return {"allowed": protocol._quic._remote_max_streams_bidi}


def main():
    what, host, port, ca = sys.argv[1:5]
    print(json.dumps(asyncio.run(globals()[what](host, int(port), ca))))


main()
