"""Cases for password files: those that `whimbrel passwd` writes and those of Mosquitto's, which are read as they are."""

from broker import HOST, Broker, whimbrel
from case import ALL, Failed, Group, expect
from process import run, succeed
from tools import PROTOCOL

GROUP = Group("passwords", "whimbrel", "mosquitto_pub", "mosquitto_sub")

# The password is not in the arguments of a process: it is what standard input says.
RIGHT, WRONG = "correct horse battery", "correct horse batterz"


def set_password(house, file, user, password=RIGHT):
    succeed([house.whimbrel, "passwd", file, user], stdin=password.encode() + b"\n")


def knows(broker, version, user=None, password=None) -> bool:
    """Whether a client with this name and password may publish."""
    login = [] if user is None else ["-u", user, *([] if password is None else ["-P", password])]
    at = ["-h", broker.host, "-p", broker.port, "-V", PROTOCOL[version]]
    done = run(["mosquitto_pub", *at, *login, "-t", "interop/door", "-m", "x", "-q", "1"])
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    if done.returncode != 0 and "Connection error" not in said:
        raise Failed(f"neither let in nor refused: {done.returncode} {said}")
    return done.returncode == 0


def expect_only_alice(broker, version, user="alice"):
    expect(knows(broker, version, user, RIGHT), True, "the right password opens")
    expect(knows(broker, version, user, RIGHT), True, "the right password opens again")
    expect(knows(broker, version, user, WRONG), False, "a wrong password opens")
    expect(knows(broker, version, "mallory", RIGHT), False, "a name that is not in the file opens")
    expect(knows(broker, version, user), False, "a name without a password opens")
    expect(knows(broker, version), False, "no name opens")


@GROUP.case(*ALL)
def a_file_of_whimbrel_passwd(house, version):
    file = house.folder / f"passwords-{version}"
    set_password(house, file, "alice")
    set_password(house, file, "bob", WRONG)
    expect(file.stat().st_mode & 0o077, 0, "rights of others on the file")
    with Broker(whimbrel(house.whimbrel, "--password-file", file), HOST) as broker:
        expect_only_alice(broker, version)
        expect(knows(broker, version, "bob", WRONG), True, "bob's own password opens")


@GROUP.case(*ALL, needs=("mosquitto_passwd",))
def a_file_of_mosquitto_passwd(house, version):
    file = house.folder / f"mosquitto-passwords-{version}"
    succeed(["mosquitto_passwd", "-b", "-c", file, "alice", RIGHT])
    succeed(["mosquitto_passwd", "-H", "sha512", "-b", file, "anna", RIGHT])
    kinds = [line.split("$")[1] for line in file.read_text().splitlines()]
    expect(kinds, ["7", "6"], "kinds of hashes in Mosquitto's file")
    with Broker(whimbrel(house.whimbrel, "--password-file", file), HOST) as broker:
        expect_only_alice(broker, version)
        expect_only_alice(broker, version, "anna")


@GROUP.case(needs=("mosquitto_passwd",))
def whimbrel_passwd_keeps_what_mosquitto_wrote(house):
    file = house.folder / "both"
    succeed(["mosquitto_passwd", "-b", "-c", file, "alice", RIGHT])
    before = file.read_text()
    set_password(house, file, "bob")
    expect(file.read_text().startswith(before), True, "Mosquitto's line stays")
    with Broker(whimbrel(house.whimbrel, "--password-file", file), HOST) as broker:
        expect_only_alice(broker, "5")
        expect_only_alice(broker, "5", "bob")
    succeed([house.whimbrel, "passwd", file, "alice", "--delete"])
    expect([line.split(":")[0] for line in file.read_text().splitlines()], ["bob"], "users after a deletion")


@GROUP.case()
def a_file_that_is_not_there_stops_the_start(house):
    file = house.folder / "absent"
    done = run([house.whimbrel, "serve", "--listen", f"{HOST}:0", "--durability", "memory", "--password-file", file])
    expect(done.returncode != 0, True, "the broker refuses to start")
    expect(str(file) in (done.stdout + done.stderr).decode(), True, "it names the file")


@GROUP.case()
def whimbrel_pub_takes_its_password_from_the_environment_or_a_file(house):
    file, word = house.folder / "tool", house.folder / "word"
    set_password(house, file, "alice")
    word.write_text(f"{RIGHT}\n")
    with Broker(whimbrel(house.whimbrel, "--password-file", file), HOST) as broker:
        command = [house.whimbrel, "pub", "-h", broker.host, "-p", broker.port, "-t", "interop/door", "-m", "x", "-u", "alice"]
        succeed([*command, "--password-file", word])
        succeed(["env", f"WHIMBREL_PASSWORD={RIGHT}", *command])
        expect(run(["env", f"WHIMBREL_PASSWORD={WRONG}", *command]).returncode != 0, True, "a wrong password fails")
        expect(run(command).returncode != 0, True, "no password fails")
