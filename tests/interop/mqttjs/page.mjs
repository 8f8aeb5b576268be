// MQTT.js in a page of Chromium, from a server of its own on loopback. Prints one JSON object: what a page of the same host
// has seen, and whether one of another host may connect. Takes the broker's URL and the folder whose node_modules holds the
// libraries.
import { createRequire } from "node:module";
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

const [url, folder] = process.argv.slice(2);
const { chromium } = createRequire(join(folder, "package.json"))("playwright-core");
const library = readFileSync(join(folder, "node_modules", "mqtt", "dist", "mqtt.min.js"));

const server = createServer((request, response) => {
  const isLibrary = request.url === "/mqtt.js";
  response.setHeader("Content-Type", isLibrary ? "text/javascript" : "text/html");
  response.end(isLibrary ? library : '<!doctype html><script src="/mqtt.js"></script>');
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const { port } = server.address();

/** Runs in the page of the broker's own host. */
async function talk(url) {
  const sockets = [];
  const Native = WebSocket;
  window.WebSocket = class extends Native {
    constructor(...all) {
      super(...all);
      sockets.push(this);
    }
  };
  const client = mqtt.connect(url, { protocolVersion: 5, reconnectPeriod: 0 });
  const arrived = [];
  await new Promise((done, fail) => {
    client.once("connect", done);
    client.once("close", () => fail(new Error("closed instead of CONNACK")));
  });
  await client.subscribeAsync("page/+", { qos: 2 });
  const all = new Promise((done) => {
    client.on("message", (topic, payload) => arrived.push(payload.length) === 3 && done());
  });
  const qos = [];
  for (const each of [0, 1, 2]) {
    await client.publishAsync("page/x", "x".repeat(300_000), { qos: each });
    qos.push(each);
  }
  await all;
  const [socket] = sockets;
  const closed = new Promise((done) => socket.addEventListener("close", (event) => done(event.wasClean)));
  const { extensions, protocol } = socket;
  await client.endAsync();
  return { qos, bytes: Math.min(...arrived), extensions, protocol, clean: await closed };
}

/** Runs in a page of another host. */
function knock(url) {
  return new Promise((done) => {
    const socket = new WebSocket(url, "mqtt");
    socket.onopen = () => done("connected");
    socket.onerror = () => done("refused");
  });
}

// The certificate is of a CA that no browser knows.
const args = ["--no-sandbox", "--ignore-certificate-errors"];
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args });
try {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${port}/`);
  const own = await page.evaluate(talk, url);
  await page.goto(`http://localhost:${port}/`);
  const foreign = await page.evaluate(knock, url);
  console.log(JSON.stringify({ own, foreign }));
} finally {
  await browser.close();
  server.close();
}
