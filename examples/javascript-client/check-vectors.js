#!/usr/bin/env node
// node check-vectors.js [FILE]: reads the vectors of docs/wire.md and says how many hold; exit 1 where one does not.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { inflateSync } from 'node:zlib';

import { readFrame } from './frame.js';
import { bytesOf, hex, holds, Hotkey } from './keys.js';
import { checkReply, InvalidReply, requestPayload, StreamReader } from './wire.js';

const file = process.argv[2] ?? new URL('../../docs/wire-vectors.json', import.meta.url);
const vectors = JSON.parse(await readFile(file, 'utf8'));
const [alice, bob] = [vectors.keys['//Alice'], vectors.keys['//Bob']];
let held = 0;

function check(what, test) {
  try {
    test();
    held += 1;
  } catch (error) {
    console.error(`${what}: ${error.message}`);
    process.exitCode = 1;
  }
}

const payloadOf = (one) =>
  requestPayload({
    target: one.target,
    body: bytesOf(one.body),
    nonce: one.headers['X-Bittensor-Nonce'],
    sender: one.headers['X-Bittensor-Hotkey'],
    receiver: one.headers['X-Bittensor-Receiver'],
  });
const believed = (one) => holds(one.headers['X-Bittensor-Signature'], payloadOf(one), one.headers['X-Bittensor-Hotkey']);
const reply = (one, digest) =>
  checkReply({ ...one, digest: bytesOf(digest), receiver: bob, contentType: one.content_type, body: bytesOf(one.body) });
const read = (lines, digest) => {
  const reader = new StreamReader(bytesOf(digest), bob);
  lines.forEach((line) => reader.take(Buffer.from(line)));
  if (!reader.finished) throw new InvalidReply('the stream was cut short');
  return reader.reply;
};
const trailer = (stream) => JSON.stringify({ signature: stream.signature });

const requests = { request: vectors.request, stream: vectors.stream.request, packed: vectors.packed };
Object.assign(requests, { job: vectors.job.request, poll: vectors.job.poll, sealed: vectors.sealed.request });
for (const [name, one] of Object.entries(requests)) {
  check(`request ${name}`, () => {
    assert.equal(payloadOf(one), one.payload);
    assert.equal(createHash('sha256').update(one.payload).digest('hex'), one.digest);
    assert.ok(believed(one), 'its signature does not hold');
  });
}
check('keys', () => assert.equal(new Hotkey('e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a').address, alice));
check('reply', () => reply(vectors.reply, vectors.request.digest));
check('refusal', () => reply(vectors.refusal, vectors.request.digest));
check('job', () => reply(vectors.job.acknowledged, vectors.job.request.digest));
check('sealed reply', () => reply(vectors.sealed.reply, vectors.sealed.request.digest));
check('stream', () => assert.deepEqual(read([...vectors.stream.lines, trailer(vectors.stream)], vectors.stream.request.digest), { text: 'hi' }));
check('packed', () => assert.equal(hex(inflateSync(bytesOf(vectors.packed.body))), vectors.packed.plain));
check('frame', () => {
  const { head, buffers } = readFrame(bytesOf(vectors.frame.frame));
  const plain = structuredClone(vectors.frame.json);
  for (const name of ['values', 'brain']) {
    const { buffer, ...field } = head[name];
    assert.deepEqual({ ...field, data: buffers[buffer].toString('base64') }, plain[name]);
  }
  assert.equal(buffers[head.picture.buffer].toString('base64'), plain.picture);
  assert.equal(head.note, plain.note);
});
for (const one of vectors.refused.requests.filter((each) => each.code === 'bad-signature')) {
  check(`refused request: ${one.what}`, () => assert.ok(!believed(one), 'it was believed'));
}
for (const one of vectors.refused.replies) {
  check(`refused reply: ${one.what}`, () => assert.throws(() => reply(one, vectors.request.digest), InvalidReply));
}
for (const one of vectors.refused.streams) {
  check(`refused stream: ${one.what}`, () => assert.throws(() => read(one.lines, vectors.stream.request.digest), InvalidReply));
}
for (const one of vectors.refused.frames) {
  check(`refused frame: ${one.what}`, () => assert.throws(() => readFrame(bytesOf(one.frame))));
}
console.log(`${held} vectors hold`);
