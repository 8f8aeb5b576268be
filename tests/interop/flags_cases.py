"""Cases for the flags that users of `mosquitto_pub` and `mosquitto_sub` have in their fingers, with both houses' tools.

What travels is the same whatever the flags; how it travels is in tools_cases.py.
"""

from case import expect
from process import run, succeed


def a_url_names_broker_and_topic(house, tools):
    place = house.place("url")
    url = f"mqtt://{tools.broker.host}:{tools.broker.port}/{place}"
    succeed([*tools.programs[0], "-L", url, "-m", "by url", "-r"])
    expect(succeed([*tools.programs[1], "-L", url, "-C", "1"]), b"by url\n", "what arrived")
    tools.publish(place, None, "-r", "-n")


def formats_show_a_message(house, tools):
    place = house.place("format")
    tools.publish(place, "Grüße", "-r", "-q", "1")
    checks = [
        (["-v"], f"{place} Grüße\n"),
        ([], "Grüße\n"),
        (["-N"], "Grüße"),
        (["-F", "%t|%q|%r|%l|%p|%%"], f"{place}|1|1|7|Grüße|%\n"),
        (["-F", "%x"], "4772c3bcc39f65\n"),
        (["-F", "%X"], "4772C3BCC39F65\n"),
        (["-F", r"a\tb\n%p"], "a\tb\nGrüße\n"),
    ]
    for flags, expected in checks:
        shown = tools.collect("-t", place, "-q", "1", "-C", "1", *flags).decode()
        expect(shown, expected, f"shown with {flags}")
    tools.publish(place, None, "-r", "-n")


def standard_input_is_one_message(house, tools):
    place = house.place("stdin")
    with tools.subscribe(place) as subscriber:
        tools.publish(place, None, "-s", stdin=b"two\nlines")
        subscriber.expect("two\nlines")


def repeat_publishes_again(house, tools):
    place = house.place("repeat")
    with tools.subscribe(place, flags=["-q", "1"]) as subscriber:
        tools.publish(place, "again", "-q", "1", "--repeat", "3")
        for _ in range(3):
            subscriber.expect("again")
        tools.publish(place, "the end")
        subscriber.expect("the end")


def topics_can_be_filtered_out(house, tools):
    place = house.place("out")
    with tools.subscribe(f"{place}/#", flags=["-T", f"{place}/+/loud", "-T", f"{place}/x"]) as subscriber:
        for topic in ("a/loud", "x", "a/quiet"):
            tools.publish(f"{place}/{topic}", topic)
        subscriber.expect("a/quiet")


def retained_ones_can_be_left_out_or_looked_at_alone(house, tools):
    place = house.place("stale")
    for topic in "ab":
        tools.publish(f"{place}/{topic}", f"old {topic}", "-r")
    tools.publish(f"{place}/a", "old a", "-r")
    only = tools.collect("-t", f"{place}/#", "--retained-only", "-C", "2", "-F", "%r %p").decode().splitlines()
    expect(sorted(only), ["1 old a", "1 old b"], "retained messages")
    name = place.replace("/", "-")
    # What waits in the session is not retained; the two retained ones that come with the subscription are not shown.
    tools.collect("-c", "-i", name, "-q", "1", "-t", f"{place}/#", "-E")
    tools.publish(f"{place}/live", "live", "-q", "1")
    fresh = tools.collect("-c", "-i", name, "-q", "1", "-t", f"{place}/#", "-R", "-C", "1").decode()
    expect(fresh, "live\n", "without retained ones")
    tools.collect("-i", name, "-t", place, "-E")
    for topic in "ab":
        tools.publish(f"{place}/{topic}", None, "-r", "-n")


def retained_ones_can_be_removed(house, tools):
    place = house.place("remove")
    for topic in "abc":
        tools.publish(f"{place}/{topic}", topic, "-r", "-q", "1")
    run([*tools.subscriber, "-t", f"{place}/#", "-T", f"{place}/c", "--remove-retained", "-W", "1"])
    left = tools.collect("-t", f"{place}/#", "-C", "1", "-v").decode()
    expect(left, f"{place}/c c\n", "what is left")
    tools.publish(f"{place}/c", None, "-r", "-n")


def waiting_ends_with_a_time_out(house, tools):
    place = house.place("wait")
    done = run([*tools.subscriber, "-t", place, "-W", "1"])
    expect(done.stdout, b"", "what arrived")
    expect(done.returncode, 27, "exit code of a time-out")


def a_broker_that_is_not_there_is_an_error(house, tools):
    for program in tools.programs:
        what = ["-m", "x"] if program is tools.programs[0] else []
        done = run([*program, "-h", tools.broker.host, "-p", "1", "-t", "x", *what])
        expect(done.returncode != 0, True, "it fails")
        expect(done.stderr != b"", True, "it says so")


FLAGS = [
    a_url_names_broker_and_topic,
    formats_show_a_message,
    standard_input_is_one_message,
    repeat_publishes_again,
    topics_can_be_filtered_out,
    retained_ones_can_be_left_out_or_looked_at_alone,
    retained_ones_can_be_removed,
    waiting_ends_with_a_time_out,
    a_broker_that_is_not_there_is_an_error,
]
