"""Cases for tokens: Mosquitto's tools and Paho give one as their password, signed here."""

import base64
import hashlib
import hmac
import json
import time

from broker import HOST, Broker, whimbrel
from case import ALL, Group, expect
from paho_client import PahoClient
from password_cases import knows

GROUP = Group("tokens", "whimbrel", "mosquitto_pub")

SECRET = b"0123456789abcdef0123456789abcdef"


def token(secret=SECRET, **claims) -> str:
    """A token of an hour, unless the claims say otherwise."""

    def part(text: bytes) -> bytes:
        return base64.urlsafe_b64encode(text).rstrip(b"=")

    claims = {"sub": "alice", "exp": int(time.time()) + 3600, **claims}
    signed = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    return (signed + b"." + part(hmac.new(secret, signed, hashlib.sha256).digest())).decode()


def door(house, version, name):
    """A broker that asks for tokens."""
    secret, config = house.folder / f"token-secret-{name}-{version}", house.folder / f"tokens-{name}-{version}.toml"
    secret.write_bytes(SECRET)
    config.write_text(f'[authentication]\nmethod = "token"\n[[token]]\nsecret_file = "{secret}"\nclock_skew_secs = 0\n')
    return Broker(whimbrel(house.whimbrel, "--config", config), HOST)


@GROUP.case(*ALL)
def mosquitto_pub_with_a_token(house, version):
    with door(house, version, "tools") as broker:
        expect(knows(broker, version, "any", token()), True, "a good token opens")
        expect(knows(broker, version, "any", token(b"x" * 32)), False, "another's token opens")
        expect(knows(broker, version, "any", token(exp=1)), False, "an old token opens")
        expect(knows(broker, version, "any", "alice"), False, "what is no token opens")
        expect(knows(broker, version), False, "nothing opens")


@GROUP.case(*ALL, needs=("paho-mqtt",))
def paho_until_its_token_ends(house, version):
    with door(house, version, "paho") as broker:
        login = ("any", token(exp=int(time.time()) + 3))
        with PahoClient(broker, version, "paho-token", login=login) as client:
            topic = house.place("token")
            client.client.subscribe(topic, 1)
            client.subacks.next()
            client.client.publish(topic, b"hello", 1)
            expect(client.messages.next().payload, b"hello", "what comes back")
            client.ends.next()
