"""Cases for command line tools, each tried with Mosquitto's tools, with Whimbrel's and with one of each house.

What a client can do that these tools cannot is in paho_cases.py.
"""

import signal

from broker import HOST, Broker, mosquitto
from case import ALL, V5, V311, Failed, Group, expect
from flags_cases import FLAGS
from tools import READY, Tools

# 900 KB: below the packet size of 1 MiB that brokers allow by default, far above every buffer on the way.
BIG_BYTES = 900_000
LINES = 1_000


def delivers_each_qos(house, tools):
    place = house.place("qos")
    with tools.subscribe(place, flags=["-q", "2"]) as subscriber:
        for qos in range(3):
            tools.publish(place, f"at {qos}", "-q", str(qos))
            subscriber.expect(f"at {qos}", qos=qos, retain=0, topic=place)


def delivers_at_the_lower_qos(house, tools):
    place = house.place("lower")
    with tools.subscribe(place, flags=["-q", "1"]) as subscriber:
        tools.publish(place, "two", "-q", "2")
        subscriber.expect("two", qos=1)
        tools.publish(place, "none", "-q", "0")
        subscriber.expect("none", qos=0)


def wildcards_match(house, tools):
    place = house.place("wild")
    with tools.subscribe(f"{place}/+/c", f"{place}/all/#") as subscriber:
        for topic in ("a/b", "a/c", "a/b/c", "all", "all/b/c", "éß/c"):
            tools.publish(f"{place}/{topic}", topic)
        for topic in ("a/c", "all", "all/b/c", "éß/c"):
            subscriber.expect(topic, topic=f"{place}/{topic}")


def retained_is_kept_replaced_and_cleared(house, tools):
    place = house.place("retained")
    tools.publish(f"{place}/a", "old", "-r", "-q", "1")
    with tools.subscribe(f"{place}/#", flags=["-q", "1"]) as subscriber:
        subscriber.expect("old", retain=1, qos=1)
        tools.publish(f"{place}/a", "new", "-r")
        subscriber.expect("new", retain=0)
    with tools.subscribe(f"{place}/#") as subscriber:
        subscriber.expect("new", retain=1)
    tools.publish(f"{place}/a", None, "-r", "-n")
    with tools.subscribe(f"{place}/#") as subscriber:
        tools.publish(f"{place}/b", "nothing before")
        subscriber.expect("nothing before", retain=0)


def an_empty_message_arrives(house, tools):
    place = house.place("empty")
    with tools.subscribe(place) as subscriber:
        tools.publish(place, None, "-n")
        expect(subscriber.next()["payloadlen"], 0, "length")


def a_killed_client_leaves_its_will(house, tools):
    place = house.place("will")
    will = ["--will-topic", f"{place}/will", "--will-payload", "gone", "--will-qos", "1", "--will-retain"]
    with tools.subscribe(f"{place}/#", flags=["-q", "1"]) as watcher:
        with tools.subscribe(f"{place}/other", flags=will) as dying:
            dying.kill()
            watcher.expect("gone", qos=1, retain=0, topic=f"{place}/will")
    with tools.subscribe(f"{place}/#") as late:
        late.expect("gone", retain=1)
    tools.publish(f"{place}/will", None, "-r", "-n")


def a_client_that_says_goodbye_leaves_no_will(house, tools):
    place = house.place("goodbye")
    will = ["--will-topic", f"{place}/will", "--will-payload", "gone"]
    with tools.subscribe(f"{place}/#") as watcher:
        tools.publish(f"{place}/end", "that's all", "-r")
        tools.collect("-t", f"{place}/end", "-C", "1", *will)
        watcher.expect("that's all")
        tools.publish(f"{place}/other", "no will")
        watcher.expect("no will")


def a_silent_client_is_taken_for_dead(house, tools):
    place = house.place("silent")
    will = ["-k", "5", "--will-topic", f"{place}/will", "--will-payload", "silent"]
    with tools.subscribe(f"{place}/#") as watcher:
        with tools.subscribe(f"{place}/other", flags=will) as sleeping:
            sleeping.running.send(signal.SIGSTOP)
            # 1.5 times the keep alive of five seconds.
            watcher.expect("silent")
            sleeping.kill()


def a_session_keeps_what_its_client_missed(house, tools):
    place = house.place("session")
    name = ["-c", "-i", place.replace("/", "-"), "-q", "2", "-t", f"{place}/#"]
    tools.collect(*name, "-E")
    for number, qos in enumerate((1, 2, 1, 2)):
        tools.publish(f"{place}/a", f"missed {number}", "-q", str(qos))
    missed = tools.collect(*name, "-C", "4", "-F", "%q %p").decode().splitlines()
    # A client may show a QoS 2 message when its exchange ends, after a later one at QoS 1.
    expect([line for line in missed if line[0] == "1"], ["1 missed 0", "1 missed 2"], "missed at QoS 1")
    expect([line for line in missed if line[0] == "2"], ["2 missed 1", "2 missed 3"], "missed at QoS 2")
    clean = [part for part in name if part != "-c"]
    tools.collect(*clean, "-E")
    tools.publish(f"{place}/a", "nobody's", "-q", "1")
    with tools.subscribe(f"{place}/#", flags=["-c", "-i", name[2]]) as subscriber:
        tools.publish(f"{place}/a", "the first")
        subscriber.expect("the first")


def a_shared_subscription_delivers_each_once(house, tools):
    place = house.place("share")
    share = f"$share/group/{place}"
    with tools.subscribe(share, flags=["-q", "1"]) as one, tools.subscribe(share, flags=["-q", "1"]) as other:
        numbers = [str(number) for number in range(20)]
        tools.publish(place, None, "-q", "1", "-l", stdin="\n".join(numbers).encode() + b"\n")
        tools.publish(READY, "end", "-q", "1")
        arrived = [message["payload"] for member in (one, other) for message in member.until_end()]
        expect(sorted(arrived, key=int), numbers, "what the members got together")


def a_big_payload_arrives_whole(house, tools):
    place = house.place("big")
    big = bytes(range(256)) * (BIG_BYTES // 256)
    file = house.folder / "big"
    file.write_bytes(big)
    tools.publish(place, None, "-q", "1", "-r", "-f", str(file))
    arrived = tools.collect("-t", place, "-q", "1", "-C", "1", "-N")
    if arrived != big:
        raise Failed(f"{len(arrived)} bytes arrived, and not those {len(big)} that were sent")
    tools.publish(place, None, "-r", "-n")


def a_thousand_lines_keep_their_order(house, tools):
    lines_in_order(house, tools, "0")
    lines_in_order(house, tools, "1")


def a_thousand_lines_keep_their_order_at_qos_2(house, tools):
    lines_in_order(house, tools, "2")


def lines_in_order(house, tools, qos):
    place = house.place("lines")
    lines = [f"line {number}" for number in range(LINES)]
    with tools.subscribe(place, flags=["-q", qos]) as subscriber:
        tools.publish(place, None, "-q", qos, "-l", stdin="\n".join(lines).encode() + b"\n")
        arrived = [message["payload"] for message in subscriber.take(LINES)]
    expect(arrived, lines, f"lines at QoS {qos}")


def what_is_unsubscribed_stops(house, tools):
    place = house.place("unsubscribe")
    name = ["-c", "-i", place.replace("/", "-"), "-q", "1"]
    tools.collect(*name, "-t", f"{place}/a", "-t", f"{place}/b", "-E")
    tools.collect(*name, "-t", f"{place}/c", "-U", f"{place}/a", "-E")
    for topic in "abc":
        tools.publish(f"{place}/{topic}", topic, "-q", "1")
    missed = tools.collect(*name, "-t", f"{place}/c", "-C", "2", "-F", "%t").decode().splitlines()
    expect(missed, [f"{place}/b", f"{place}/c"], "topics")
    tools.collect("-i", name[2], "-t", place, "-E")


def the_broker_tells_about_itself(house, tools):
    for name in ("version", "uptime", "clients/connected", "messages/received", "bytes/sent", "load/messages/sent/1min"):
        said = tools.collect("-t", f"$SYS/broker/{name}", "-C", "1", "-v").decode()
        expect(said.split(" ")[0], f"$SYS/broker/{name}", "topic")
        if not said.split(" ", 1)[1].strip():
            raise Failed(f"$SYS/broker/{name} is empty")


def properties_are_forwarded(house, tools):
    place = house.place("properties")
    properties = {
        "content-type": "text/plain",
        "correlation-data": "c-1",
        "response-topic": f"{place}/answer",
        "payload-format-indicator": "1",
        "message-expiry-interval": "600",
    }
    flags = [part for name, value in properties.items() for part in ("-D", "publish", name, value)]
    flags += ["-D", "publish", "user-property", "k", "first", "-D", "publish", "user-property", "k", "second"]
    with tools.subscribe(place, flags=["-D", "subscribe", "subscription-identifier", "77"]) as subscriber:
        tools.publish(place, "grüße", *flags)
        arrived = subscriber.expect("grüße")["properties"]
    for name, value in properties.items():
        if name != "message-expiry-interval":
            expect(str(arrived.get(name)), value, name)
    expect(arrived.get("message-expiry-interval") in (599, 600), True, "expiry")
    # Both tools write an object, in which the second value hides the first.
    expect(arrived["user-properties"], {"k": "second"}, "user properties")
    identifiers = arrived.get("subscription-identifier")
    expect(identifiers in (77, [77]), True, f"subscription identifier in {identifiers}")


def user_properties_keep_their_order(house, tools):
    place = house.place("user")
    tools.publish(
        place, "x", "-r", "-D", "publish", "user-property", "k", "1", "-D", "publish", "user-property", "k", "2",
        "-D", "publish", "user-property", "a", "3",
    )  # fmt: skip
    said = tools.collect("-t", place, "-C", "1", "-F", "%P").decode().strip()
    expect(said, "k:1 k:2 a:3", "user properties")
    tools.publish(place, None, "-r", "-n")


def a_topic_alias_stands_for_its_topic(house, tools):
    place = house.place("alias")
    with tools.subscribe(place) as subscriber:
        tools.publish(place, None, "-l", "-D", "publish", "topic-alias", "3", stdin=b"one\ntwo\nthree\n")
        for payload in ("one", "two", "three"):
            subscriber.expect(payload, topic=place)


def the_broker_may_use_aliases_too(house, tools):
    """Only for Whimbrel's subscriber: Mosquitto's takes a message without a topic for a protocol error."""
    place = house.place("aliases")
    with tools.subscribe(place, flags=["-D", "connect", "topic-alias-maximum", "5"]) as subscriber:
        for payload in ("one", "two", "three"):
            tools.publish(place, payload)
            subscriber.expect(payload, topic=place)


EVERY_VERSION = [
    delivers_each_qos,
    delivers_at_the_lower_qos,
    wildcards_match,
    retained_is_kept_replaced_and_cleared,
    an_empty_message_arrives,
    a_killed_client_leaves_its_will,
    a_client_that_says_goodbye_leaves_no_will,
    a_session_keeps_what_its_client_missed,
    a_shared_subscription_delivers_each_once,
    a_big_payload_arrives_whole,
    a_thousand_lines_keep_their_order,
    a_thousand_lines_keep_their_order_at_qos_2,
    what_is_unsubscribed_stops,
]
ONE_VERSION = [a_silent_client_is_taken_for_dead, the_broker_tells_about_itself, *FLAGS]
FIVE_ONLY = [
    properties_are_forwarded,
    user_properties_keep_their_order,
    a_topic_alias_stands_for_its_topic,
    the_broker_may_use_aliases_too,
]

MOSQUITTO_PUB, MOSQUITTO_SUB = ["mosquitto_pub"], ["mosquitto_sub"]


def register(group, programs, is_wanted, broker_of=None):
    """Makes a case of every function, in every version, with these tools."""
    for version in ALL:
        functions = EVERY_VERSION + (ONE_VERSION if version == V311 else [])
        functions += FIVE_ONLY if version == V5 else []
        for function in filter(is_wanted, functions):

            def run(house, _, function=function, version=version):
                if broker_of is None:
                    function(house, Tools(house.broker, version, *programs(house)))
                else:
                    with broker_of(house) as broker:
                        function(house, Tools(broker, version, *programs(house)))

            run.__name__ = function.__name__
            group.case(version)(run)


def own(house):
    return [house.whimbrel, "pub"], [house.whimbrel, "sub"]


def real_mosquitto(house):
    return Broker(mosquitto("mosquitto", house.folder, "max_packet_size 2000000"), HOST)


def everything(_):
    return True


def as_mosquitto_sub_can(function):
    return function is not the_broker_may_use_aliases_too


def across(function):
    """What one house's publisher and the other's subscriber can show beyond what each shows alone."""
    return function in (delivers_each_qos, properties_are_forwarded, a_big_payload_arrives_whole)


def as_mosquitto_can(function):
    """Mosquitto 2.0.11 sends a 5.0 subscriber more QoS 2 messages than its receive maximum, and both then stand still."""
    return function is not a_thousand_lines_keep_their_order_at_qos_2


MOSQUITTO = Group("mosquitto's tools", "mosquitto_pub", "mosquitto_sub")
register(MOSQUITTO, lambda house: (MOSQUITTO_PUB, MOSQUITTO_SUB), as_mosquitto_sub_can)

WHIMBREL = Group("whimbrel's tools", "whimbrel")
register(WHIMBREL, own, everything)

TO_MOSQUITTO = Group("whimbrel pub to mosquitto_sub", "whimbrel", "mosquitto_sub")
register(TO_MOSQUITTO, lambda house: (own(house)[0], MOSQUITTO_SUB), across)

FROM_MOSQUITTO = Group("mosquitto_pub to whimbrel sub", "whimbrel", "mosquitto_pub")
register(FROM_MOSQUITTO, lambda house: (MOSQUITTO_PUB, own(house)[1]), across)

AT_MOSQUITTO = Group("whimbrel's tools at mosquitto", "whimbrel", "mosquitto")
register(AT_MOSQUITTO, own, as_mosquitto_can, real_mosquitto)

GROUPS = [MOSQUITTO, WHIMBREL, TO_MOSQUITTO, FROM_MOSQUITTO, AT_MOSQUITTO]
