"""Paho for Python with its callbacks turned into mailboxes, so that a case reads from top to bottom. Knows no case."""

import socket
import threading

from case import V5, V31, V311, Failed, expect
from waiting import DEADLINE_SECS, Mailbox

try:
    from paho.mqtt.client import CallbackAPIVersion, Client, MQTTProtocolVersion
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    PROTOCOL = {V31: MQTTProtocolVersion.MQTTv31, V311: MQTTProtocolVersion.MQTTv311, V5: MQTTProtocolVersion.MQTTv5}
except ModuleNotFoundError:
    # The runner skips the cases of this library where it is missing.
    Client = object


def properties(packet: str, **values):
    """Properties of a packet by their names in the specification without spaces: `UserProperty=[("k", "v")]`."""
    made = Properties(getattr(PacketTypes, packet))
    for name, value in values.items():
        for one in value if isinstance(value, list) else [value]:
            setattr(made, name, one)
    return made


class PahoClient:
    """One client, which connects once. Use it in a `with` statement: at its end it is gone, whatever happened."""

    def __init__(self, broker, version, name="", *, clean=True, connect=None, will=None, login=None, keep_alive=60, manual=False, transport="tcp"):
        self.broker, self.version, self.clean, self.keep_alive = broker, version, clean, keep_alive
        self.connect_properties, self.is_websocket = connect, transport == "websockets"
        self.connacks, self.messages = Mailbox("CONNACK"), Mailbox("message")
        self.subacks, self.unsubacks = Mailbox("SUBACK"), Mailbox("UNSUBACK")
        self.acks, self.ends = Mailbox("acknowledgement"), Mailbox("end of the connection")
        session = {} if version == V5 else {"clean_session": clean}
        self.client = Client(
            CallbackAPIVersion.VERSION2, name, protocol=PROTOCOL[version], reconnect_on_failure=False, manual_ack=manual, transport=transport, **session
        )
        self.client.on_connect = lambda _c, _u, flags, code, props: self.connacks.put((flags, code, props))
        self.client.on_message = lambda _c, _u, message: self.messages.put(message)
        self.client.on_subscribe = lambda _c, _u, _mid, codes, props: self.subacks.put(codes)
        self.client.on_unsubscribe = lambda _c, _u, _mid, codes, props: self.unsubacks.put(codes)
        self.client.on_publish = lambda _c, _u, mid, code, props: self.acks.put((mid, code))
        self.client.on_disconnect = lambda _c, _u, flags, code, props: self.ends.put((flags, code, props))
        if will:
            self.client.will_set(**will)
        if login:
            self.client.username_pw_set(*login)

    def connect(self):
        """Connects; returns the flags, the reason code and the properties of CONNACK."""
        five = {"clean_start": self.clean, "properties": self.connect_properties} if self.version == V5 else {}
        self.client.connect(self.broker.host, self.broker.port, self.keep_alive, **five)
        if self.is_websocket:
            # Frames that two threads write would be mixed; with a thread of its own the library alone writes.
            self.client.loop_start()
            self.thread = self.client._thread
        else:
            self.thread = threading.Thread(target=self.client.loop_forever, daemon=True)
            self.thread.start()
        self.connack = self.connacks.next()
        return self.connack

    def __enter__(self):
        _, code, _ = self.connect()
        if code.is_failure:
            raise Failed(f"CONNACK: {code}")
        return self

    def __exit__(self, *_):
        self.disconnect()

    @property
    def session_present(self) -> bool:
        return self.connack[0].session_present

    def subscribe(self, topic, qos=0, **options):
        """Subscribes; returns the reason codes."""
        self.client.subscribe(topic, qos, **options)
        codes = self.subacks.next()
        for code in codes:
            if code.is_failure:
                raise Failed(f"SUBACK: {code}")
        return codes

    def unsubscribe(self, topic):
        """Unsubscribes; returns the reason codes."""
        self.client.unsubscribe(topic)
        return self.unsubacks.next()

    def publish(self, topic, payload, qos=0, retain=False, **values):
        """Publishes and waits for the acknowledgement; returns its reason code. `values` are properties."""
        made = properties("PUBLISH", **values) if values else None
        mid = self.client.publish(topic, payload, qos, retain, made).mid
        return self.acks.first(lambda ack: ack[0] == mid)[1]

    def expect(self, payload, within_secs=DEADLINE_SECS, **fields):
        """The next message has this payload and these fields."""
        message = self.messages.next(within_secs)
        expect(message.payload, payload if isinstance(payload, bytes) else payload.encode(), "payload")
        for name, value in fields.items():
            expect(getattr(message, name), value, name)
        return message

    def expect_no_more(self):
        """Nothing waits to be delivered: a message to oneself is the next that arrives."""
        topic = f"fence/{id(self)}"
        self.subscribe(topic, 1)
        self.publish(topic, "fence", 1)
        self.expect("fence", topic=topic)

    def drop(self):
        """Ends the connection as a lost network would: no DISCONNECT."""
        sock = self.client.socket()
        if sock is not None:
            sock.shutdown(socket.SHUT_RDWR)
        self.ends.next()

    def disconnect(self, **options):
        """Says goodbye, if the connection stands."""
        self.client.disconnect(**options)
        self.thread.join(DEADLINE_SECS)
        if self.thread.is_alive():
            raise Failed("the client's thread does not end")
