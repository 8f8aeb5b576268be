// Cases for MQTT.js. Prints one JSON object per case: its name, its version and, where it failed, why.
// Takes the broker's URL and the folder whose node_modules holds the library; `list` alone prints the names.
import { createRequire } from "node:module";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import process from "node:process";

const DEADLINE_MILLIS = 15_000;
const VERSIONS = {
  "3.1": { protocolId: "MQIsdp", protocolVersion: 3 },
  "3.1.1": { protocolId: "MQTT", protocolVersion: 4 },
  5: { protocolId: "MQTT", protocolVersion: 5 },
};
const ALL = ["3.1", "3.1.1", "5"];
const cases = [];

/** Registers a case for the versions in which it holds. */
function define(versions, run) {
  for (const version of versions) cases.push({ name: run.name, version, run: () => run(version) });
}

function expect(actual, expected, what) {
  const [one, other] = [actual, expected].map((value) => JSON.stringify(value));
  if (one !== other) throw new Error(`${what}: expected ${other}, got ${one}`);
}

/** The promise's value, or a failure when it does not come in time. */
function within(promise, what) {
  let timer;
  const late = new Promise((_, refuse) => {
    timer = setTimeout(() => refuse(new Error(`no ${what} within ${DEADLINE_MILLIS} ms`)), DEADLINE_MILLIS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** One client with its messages in a queue. It does not connect again unless `reconnectPeriod` says so. */
class Client {
  static open = new Set();

  static async connect(version, options = {}) {
    const client = new Client();
    client.messages = [];
    client.waiting = [];
    client.mqtt = mqtt.connect(process.argv[2], {
      ...VERSIONS[version],
      clientId: `js${randomUUID().replaceAll("-", "").slice(0, 20)}`,
      reconnectPeriod: 0,
      ...options,
    });
    client.mqtt.on("message", (topic, payload, packet) => {
      const message = { ...packet, topic, text: payload.toString() };
      const next = client.waiting.shift();
      if (next) next(message);
      else client.messages.push(message);
    });
    client.closed = new Promise((done) => client.mqtt.once("close", done));
    client.mqtt.on("disconnect", (packet) => (client.farewell = packet.reasonCode));
    client.mqtt.on("error", (error) => (client.error = error));
    Client.open.add(client);
    client.connack = await within(new Promise((done) => client.mqtt.once("connect", done)), "CONNACK");
    return client;
  }

  next() {
    const message = this.messages.shift();
    return message ? Promise.resolve(message) : within(new Promise((done) => this.waiting.push(done)), "message");
  }

  async expect(text, fields = {}) {
    const message = await this.next();
    expect(message.text, text, "payload");
    for (const [name, value] of Object.entries(fields)) expect(message[name], value, name);
    return message;
  }

  /** A message to oneself is the next that arrives. */
  async expectNoMore() {
    const topic = `fence/${randomUUID()}`;
    await this.mqtt.subscribeAsync(topic, { qos: 1 });
    await this.publish(topic, "fence", { qos: 1 });
    await this.expect("fence", { topic });
  }

  subscribe(topic, options = { qos: 0 }) {
    return within(this.mqtt.subscribeAsync(topic, options), "SUBACK");
  }

  publish(topic, payload, options = {}) {
    return within(this.mqtt.publishAsync(topic, payload, options), "acknowledgement");
  }

  /** Ends the connection as a lost network would: no DISCONNECT. */
  async drop() {
    this.mqtt.stream.destroy();
    await within(this.closed, "end of the connection");
  }

  async end() {
    Client.open.delete(this);
    await within(this.mqtt.endAsync(true), "end");
  }

  async goodbye() {
    Client.open.delete(this);
    await within(this.mqtt.endAsync(false), "end");
  }
}

const lasting = (version, clientId) =>
  version === "5" ? { clientId, clean: false, properties: { sessionExpiryInterval: 600 } } : { clientId, clean: false };

const place = (name) => `interop/js/${name}/${randomUUID().slice(0, 8)}`;

define(ALL, async function each_qos_arrives_once(version) {
  const topic = place("qos");
  const client = await Client.connect(version);
  await client.subscribe(topic, { qos: 2 });
  for (const qos of [0, 1, 2]) {
    await client.publish(topic, `at ${qos}`, { qos });
    await client.expect(`at ${qos}`, { qos, retain: false, dup: false, topic });
  }
  await client.expectNoMore();
});

define(ALL, async function retained_is_kept_and_cleared(version) {
  const topic = place("retained");
  const publisher = await Client.connect(version);
  await publisher.publish(topic, "kept", { qos: 1, retain: true });
  const client = await Client.connect(version);
  await client.subscribe(topic, { qos: 1 });
  await client.expect("kept", { retain: true, qos: 1 });
  await publisher.publish(topic, "", { qos: 1, retain: true });
  await client.expect("", { retain: false });
  const late = await Client.connect(version);
  await late.subscribe(topic, { qos: 1 });
  await late.expectNoMore();
});

define(ALL, async function a_will_follows_a_lost_connection_only(version) {
  const topic = place("will");
  const will = { topic, payload: Buffer.from("gone"), qos: 1, retain: false };
  const watcher = await Client.connect(version);
  await watcher.subscribe(topic, { qos: 1 });
  await (await Client.connect(version, { will })).goodbye();
  await watcher.expectNoMore();
  await (await Client.connect(version, { will })).drop();
  await watcher.expect("gone", { qos: 1 });
});

define(ALL, async function a_session_outlives_its_connection(version) {
  const topic = place("session");
  const clientId = topic.replaceAll("/", "").slice(0, 23);
  const first = await Client.connect(version, lasting(version, clientId));
  await first.subscribe(topic, { qos: 2 });
  await first.goodbye();
  const publisher = await Client.connect(version);
  for (const number of [1, 2, 3, 4]) await publisher.publish(topic, `missed ${number}`, { qos: 1 });
  const second = await Client.connect(version, lasting(version, clientId));
  for (const number of [1, 2, 3, 4]) await second.expect(`missed ${number}`, { qos: 1 });
  if (version !== "3.1") expect(second.connack.sessionPresent, true, "session present");
  await second.goodbye();
  const clean = await Client.connect(version, { clientId, clean: true });
  expect(clean.connack.sessionPresent, false, "session present after a clean start");
});

define(ALL, async function the_library_comes_back_by_itself(version) {
  const topic = place("back");
  const clientId = topic.replaceAll("/", "").slice(0, 23);
  const client = await Client.connect(version, { ...lasting(version, clientId), reconnectPeriod: 10 });
  await client.subscribe(topic, { qos: 2 });
  const back = new Promise((done) => client.mqtt.once("connect", done));
  client.mqtt.stream.destroy();
  // Published while there is no connection: the library sends it at the next one.
  await client.publish(topic, "in between", { qos: 2 });
  await within(back, "second CONNACK");
  await client.expect("in between", { qos: 2 });
  await client.expectNoMore();
});

define(ALL, async function the_newer_connection_takes_the_name(version) {
  const clientId = place("take").replaceAll("/", "").slice(0, 23);
  const old = await Client.connect(version, { clientId });
  const newer = await Client.connect(version, { clientId });
  await within(old.closed, "end of the old connection");
  if (version === "5") expect(old.farewell, 0x8e, "reason");
  await newer.expectNoMore();
});

define(ALL, async function what_is_unsubscribed_stops(version) {
  const topic = place("unsubscribe");
  const client = await Client.connect(version);
  await client.subscribe([`${topic}/a`, `${topic}/b`], { qos: 1 });
  await within(client.mqtt.unsubscribeAsync(`${topic}/a`), "UNSUBACK");
  for (const letter of "ab") await client.publish(`${topic}/${letter}`, letter, { qos: 1 });
  await client.expect("b");
  await client.expectNoMore();
});

define(ALL, async function a_thousand_messages_keep_their_order(version) {
  const topic = place("order");
  const [client, publisher] = [await Client.connect(version), await Client.connect(version)];
  await client.subscribe(topic, { qos: 2 });
  for (const qos of [0, 1, 2]) {
    const numbers = [...Array(1_000).keys()];
    await Promise.all(numbers.map((number) => publisher.publish(topic, `${number}`, { qos })));
    const arrived = [];
    for (const _ of numbers) arrived.push(Number((await client.next()).text));
    expect(arrived, numbers, `order at QoS ${qos}`);
  }
});

define(ALL, async function a_shared_subscription_delivers_each_once(version) {
  const topic = place("share");
  const members = [await Client.connect(version), await Client.connect(version)];
  for (const member of members) await member.subscribe(`$share/group/${topic}`, { qos: 1 });
  const publisher = await Client.connect(version);
  for (let number = 0; number < 20; number += 1) await publisher.publish(topic, `${number}`, { qos: 1 });
  for (const member of members) {
    await member.subscribe(`${topic}/end`, { qos: 1 });
    await member.publish(`${topic}/end`, "end", { qos: 1 });
  }
  const arrived = [];
  for (const member of members) {
    for (let message = await member.next(); message.text !== "end"; message = await member.next()) {
      arrived.push(Number(message.text));
    }
  }
  expect(arrived.sort((one, other) => one - other), [...Array(20).keys()], "what the members got together");
});

define(ALL, async function a_big_payload_arrives_whole(version) {
  const topic = place("big");
  const big = Buffer.alloc(900_000, "0123456789abcdef");
  const client = await Client.connect(version);
  await client.subscribe(topic, { qos: 2 });
  for (const qos of [0, 1, 2]) {
    await client.publish(topic, big, { qos });
    expect((await client.next()).payload.equals(big), true, `the payload at QoS ${qos} is the one sent`);
  }
});

define(["5"], async function properties_are_forwarded(version) {
  const topic = place("properties");
  const client = await Client.connect(version);
  await client.subscribe(topic, { qos: 1, properties: { subscriptionIdentifier: 42 } });
  const userProperties = { k: ["1", "2"], a: "ä" };
  const correlationData = Buffer.from([0, 255]);
  const sent = { payloadFormatIndicator: true, contentType: "t/x", responseTopic: "answer/here", correlationData };
  await client.publish(topic, "x", { qos: 1, properties: { ...sent, userProperties } });
  const { properties } = await client.expect("x");
  for (const name of ["payloadFormatIndicator", "contentType", "responseTopic"]) {
    expect(properties[name], sent[name], name);
  }
  expect(properties.correlationData.equals(correlationData), true, "correlation data");
  expect({ ...properties.userProperties }, userProperties, "user properties");
  expect(properties.subscriptionIdentifier, 42, "subscription identifier");
});

define(["5"], async function a_will_waits_and_a_message_expires(version) {
  const topic = place("expiry");
  const clientId = topic.replaceAll("/", "");
  const sleeper = await Client.connect(version, lasting(version, clientId));
  await sleeper.subscribe(`${topic}/a`, { qos: 1 });
  await sleeper.goodbye();
  const watcher = await Client.connect(version);
  await watcher.subscribe(`${topic}/will`, { qos: 1 });
  await watcher.publish(`${topic}/a`, "short", { qos: 1, properties: { messageExpiryInterval: 1 } });
  await watcher.publish(`${topic}/a`, "long", { qos: 1, properties: { messageExpiryInterval: 100 } });
  const properties = { willDelayInterval: 2 };
  const will = { topic: `${topic}/will`, payload: Buffer.from("two seconds"), qos: 1, properties };
  const dying = await Client.connect(version, { will, properties: { sessionExpiryInterval: 60 } });
  await dying.drop();
  await watcher.expect("two seconds");
  const awake = await Client.connect(version, lasting(version, clientId));
  const left = (await awake.expect("long")).properties.messageExpiryInterval;
  expect(left >= 90 && left <= 98, true, `${left} s left of 100 after two`);
  await awake.expectNoMore();
  await awake.goodbye();
  await (await Client.connect(version, { clientId, clean: true })).goodbye();
});

define(["5"], async function subscription_options_are_kept(version) {
  const topic = place("options");
  const [one, other] = [await Client.connect(version), await Client.connect(version)];
  await one.subscribe(topic, { qos: 1, nl: true });
  await other.subscribe(topic, { qos: 1, rap: true });
  await one.publish(topic, "mine", { qos: 1, retain: true });
  await other.expect("mine", { retain: true });
  await one.expectNoMore();
  const late = await Client.connect(version);
  await late.subscribe(topic, { qos: 1, rh: 2 });
  await late.expectNoMore();
  await one.publish(topic, "", { retain: true });
});

define(["5"], async function an_alias_stands_for_its_topic(version) {
  const topic = place("alias");
  const client = await Client.connect(version, {
    properties: { topicAliasMaximum: 10 },
    autoUseTopicAlias: true,
    autoAssignTopicAlias: true,
  });
  await client.subscribe(`${topic}/+`, { qos: 1 });
  for (const text of ["one", "two", "three"]) {
    await client.publish(`${topic}/a`, text, { qos: 1 });
    await client.expect(text, { topic: `${topic}/a` });
  }
});

if (process.argv[2] === "list") {
  for (const { name, version } of cases) console.log(JSON.stringify({ name, version }));
  process.exit(0);
}
const mqtt = createRequire(join(process.argv[3], "package.json"))("mqtt");
for (const { name, version, run } of cases) {
  let failure;
  try {
    await run();
  } catch (error) {
    failure = error.message;
  }
  for (const client of Client.open) await client.end().catch(() => undefined);
  console.log(JSON.stringify({ name, version, failure }));
}
process.exit(0);
