#!/usr/bin/env bash
# Puts what the interoperability tests take from package registries into a folder (default: target/interop): Paho for
# Python and aioquic in a venv, MQTT.js and playwright-core in node_modules. Runs no install script of theirs. Debian's packages are .ci/run's.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
prepared=${1:-${CARGO_TARGET_DIR:-$here/../../target}/interop}
mkdir -p "$prepared/mqttjs"
prepared=$(cd "$prepared" && pwd)

[ -x "$prepared/venv/bin/python" ] || python3 -m venv "$prepared/venv"
"$prepared/venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
  --requirement "$here/requirements.txt"

cp "$here/mqttjs/package.json" "$here/mqttjs/package-lock.json" "$prepared/mqttjs/"
npm ci --prefix "$prepared/mqttjs" --ignore-scripts --no-audit --no-fund --loglevel=error
