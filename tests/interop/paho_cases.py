"""Cases for Paho for Python that hold in every version of MQTT. What 5.0 adds is in paho_v5_cases.py."""

import paho_v5_cases
from case import ALL, V5, V31, Failed, Group, expect
from paho_client import PahoClient, properties
from waiting import DEADLINE_SECS

CLIENTS = 100
MESSAGES = 1_000
BIG_BYTES = 900_000

GROUP = Group("paho", "paho-mqtt")
GROUPS = [GROUP, paho_v5_cases.GROUP]


def lasting(version, **more):
    """What makes a session outlive its connection."""
    return {"clean": False, **({"connect": properties("CONNECT", SessionExpiryInterval=600)} if version == V5 else {}), **more}


def forget(house, version, name):
    """Ends a session that a case has left behind."""
    with PahoClient(house.broker, version, name):
        pass


@GROUP.case(*ALL)
def each_qos_arrives_once(house, version):
    place = house.place("qos")
    with PahoClient(house.broker, version) as client:
        client.subscribe(f"{place}/#", 2)
        for qos in range(3):
            client.publish(f"{place}/{qos}", f"at {qos}", qos)
            client.expect(f"at {qos}", qos=qos, retain=False, dup=False, topic=f"{place}/{qos}")
        client.expect_no_more()


@GROUP.case(*ALL)
def the_lower_qos_is_granted_and_delivered(house, version):
    place = house.place("granted")
    with PahoClient(house.broker, version) as client:
        codes = client.subscribe([(f"{place}/0", 0), (f"{place}/1", 1), (f"{place}/2", 2)])
        expect([code.value for code in codes], [0, 1, 2], "granted")
        for granted in range(3):
            client.publish(f"{place}/{granted}", "x", 2)
            client.expect("x", qos=granted)


@GROUP.case(*ALL)
def retained_is_kept_replaced_and_cleared(house, version):
    place = house.place("retained")
    with PahoClient(house.broker, version) as publisher:
        for qos in (1, 2):
            publisher.publish(f"{place}/{qos}", "old", qos, retain=True)
            publisher.publish(f"{place}/{qos}", "new", qos, retain=True)
        with PahoClient(house.broker, version) as client:
            client.subscribe(f"{place}/1", 2)
            client.expect("new", qos=1, retain=True)
            client.subscribe(f"{place}/+", 2)
            arrived = {client.expect("new", retain=True).topic for _ in range(2)}
            expect(arrived, {f"{place}/1", f"{place}/2"}, "retained topics")
            publisher.publish(f"{place}/1", "live", 1, retain=True)
            client.expect("live", retain=False)
        for qos in (1, 2):
            publisher.publish(f"{place}/{qos}", "", qos, retain=True)
        with PahoClient(house.broker, version) as client:
            client.subscribe(f"{place}/#", 2)
            client.expect_no_more()


@GROUP.case(*ALL)
def a_will_follows_a_lost_connection_only(house, version):
    place = house.place("will")
    will = {"topic": f"{place}/will", "payload": "gone", "qos": 1}
    with PahoClient(house.broker, version) as watcher:
        watcher.subscribe(f"{place}/#", 2)
        with PahoClient(house.broker, version, will=will):
            pass
        watcher.expect_no_more()
        with PahoClient(house.broker, version, will=will) as client:
            client.drop()
        watcher.expect("gone", qos=1, retain=False)
        watcher.expect_no_more()


@GROUP.case(*ALL)
def a_session_outlives_its_connection(house, version):
    place = house.place("session")
    name = place.replace("/", "")[:23]
    with PahoClient(house.broker, version, name, **lasting(version)) as client:
        expect(client.session_present, False, "session present")
        client.subscribe(f"{place}/#", 2)
    with PahoClient(house.broker, version) as publisher:
        for number in range(6):
            publisher.publish(f"{place}/a", f"missed {number}", number % 2 + 1)
    with PahoClient(house.broker, version, name, **lasting(version)) as client:
        # 3.1 has no such flag.
        expect(client.session_present, version != V31, "session present")
        missed = client.messages.take(6)
        for qos, expected in ((1, ["missed 0", "missed 2", "missed 4"]), (2, ["missed 1", "missed 3", "missed 5"])):
            arrived = [message.payload.decode() for message in missed if message.qos == qos]
            expect(arrived, expected, f"missed at QoS {qos}")
        client.publish(f"{place}/b", "live", 1)
        client.expect("live")
    forget(house, version, name)
    with PahoClient(house.broker, version, name, **lasting(version)) as client:
        expect(client.session_present, False, "session present after a clean start")
        client.publish(f"{place}/b", "nobody's", 1)
        client.expect_no_more()
    forget(house, version, name)


@GROUP.case(*ALL)
def what_was_not_acknowledged_comes_again(house, version):
    place = house.place("again")
    name = place.replace("/", "")[:23]
    with PahoClient(house.broker, version, name, **lasting(version, manual=True)) as client:
        client.subscribe(place, 1)
        client.publish(place, "first", 1)
        client.expect("first", dup=False)
        client.drop()
    with PahoClient(house.broker, version, name, **lasting(version)) as client:
        client.expect("first", dup=True, qos=1)
        client.expect_no_more()
    forget(house, version, name)


@GROUP.case(*ALL)
def the_newer_connection_takes_the_name(house, version):
    place = house.place("takeover")
    name = place.replace("/", "")[:23]
    with PahoClient(house.broker, version, name) as old, PahoClient(house.broker, version, name) as new:
        _, code, _ = old.ends.next()
        if version == V5:
            expect(code.getName(), "Session taken over", "reason")
        new.subscribe(place)
        new.publish(place, "alive")
        new.expect("alive")


@GROUP.case(*ALL)
def what_is_unsubscribed_stops(house, version):
    place = house.place("unsubscribe")
    with PahoClient(house.broker, version) as client:
        client.subscribe([(f"{place}/a", 1), (f"{place}/+", 1)])
        client.unsubscribe(f"{place}/+")
        for topic in "ab":
            client.publish(f"{place}/{topic}", topic, 1)
        client.expect("a")
        client.expect_no_more()
        client.unsubscribe([f"{place}/a", f"{place}/never"])
        client.publish(f"{place}/a", "a", 1)
        client.expect_no_more()


@GROUP.case(*ALL)
def overlapping_subscriptions_deliver_once(house, version):
    place = house.place("overlap")
    with PahoClient(house.broker, version) as client:
        client.subscribe([(f"{place}/#", 0), (f"{place}/+", 2), (f"{place}/a", 1)])
        client.publish(f"{place}/a", "once", 2)
        client.expect("once", qos=2)
        client.expect_no_more()


@GROUP.case(*ALL)
def a_hundred_clients_hear_one(house, version):
    place = house.place("hundred")
    clients = []
    try:
        for _ in range(CLIENTS):
            clients.append(PahoClient(house.broker, version).__enter__())
            clients[-1].subscribe(f"{place}/#", 1)
        with PahoClient(house.broker, version) as publisher:
            for number in range(3):
                publisher.publish(f"{place}/{number}", str(number), 1)
        for client in clients:
            for number in range(3):
                client.expect(str(number), qos=1)
    finally:
        for client in clients:
            client.disconnect()


@GROUP.case(*ALL)
def a_thousand_messages_keep_their_order(house, version):
    for qos in range(3):
        place = house.place("order")
        with PahoClient(house.broker, version) as client, PahoClient(house.broker, version) as publisher:
            client.subscribe(place, qos)
            for number in range(MESSAGES):
                publisher.client.publish(place, str(number), qos)
            arrived = [int(message.payload) for message in client.messages.take(MESSAGES, 2 * DEADLINE_SECS)]
            expect(arrived, list(range(MESSAGES)), f"order at QoS {qos}")


@GROUP.case(*ALL)
def a_shared_subscription_delivers_each_once(house, version):
    place = house.place("share")
    with PahoClient(house.broker, version) as one, PahoClient(house.broker, version) as two:
        for member in (one, two):
            member.subscribe(f"$share/group/{place}/#", 1)
        with PahoClient(house.broker, version) as publisher:
            for number in range(50):
                publisher.publish(f"{place}/a", str(number), 1)
        for member in (one, two):
            member.subscribe(f"{place}/end", 1)
        one.publish(f"{place}/end", "end", 1)
        arrived = []
        for member in (one, two):
            ended = False
            while not ended:
                message = member.messages.next()
                ended = message.payload == b"end" and message.topic.endswith("/end")
                arrived += [] if ended else [int(message.payload)]
        expect(sorted(arrived), list(range(50)), "what the members got together")


@GROUP.case(*ALL)
def a_big_payload_arrives_whole(house, version):
    place = house.place("big")
    big = bytes(range(256)) * (BIG_BYTES // 256)
    with PahoClient(house.broker, version) as client:
        client.subscribe(place, 2)
        for qos in range(3):
            client.publish(place, big, qos)
            if client.messages.next().payload != big:
                raise Failed(f"another payload arrived at QoS {qos}")
