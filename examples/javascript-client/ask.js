#!/usr/bin/env node
// node ask.js [--stream] HOST PORT HOTKEY SYNAPSE JSON     with the caller's seed (hex) in RANVIER_SEED
import { Client } from './client.js';
import { Hotkey, publicKeyOf } from './keys.js';

const USAGE = 'usage: RANVIER_SEED=<64 hex digits> node ask.js [--stream] HOST PORT HOTKEY SYNAPSE JSON';

function fail(message) {
  console.error(message);
  process.exit(2);
}

const words = process.argv.slice(2);
const streamed = words[0] === '--stream' && Boolean(words.shift());
const [host, port, hotkey, synapse, fields] = words;
if (words.length !== 5) fail(USAGE);
if (!/^(0x)?[0-9a-f]{64}$/.test(process.env.RANVIER_SEED ?? '')) fail(`RANVIER_SEED is not a seed of 64 hex digits\n${USAGE}`);
let asked;
try {
  publicKeyOf(hotkey);
  asked = JSON.parse(fields);
} catch (error) {
  fail(`${error.message}\n${USAGE}`);
}
const client = new Client(new Hotkey(process.env.RANVIER_SEED));
const miner = { host, port: Number(port), hotkey };
try {
  if (streamed) {
    const pieces = client.stream(miner, synapse, asked);
    let next = await pieces.next();
    for (; !next.done; next = await pieces.next()) console.log(JSON.stringify({ piece: next.value }));
    console.log(JSON.stringify({ reply: next.value }));
  } else {
    console.log(JSON.stringify({ reply: await client.ask(miner, synapse, asked) }));
  }
} catch (error) {
  console.error(`${error.constructor.name}: ${error.message}`);
  process.exitCode = 1;
} finally {
  client.close();
}
