// What is signed, and how a reply or a stream is believed. See docs/wire.md.
import { createHash } from 'node:crypto';

import { hex, holds } from './keys.js';

const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();

export const STREAM = 'application/x-ranvier-stream';
export const FRAME = 'application/x-ranvier-frame';
export const JSON_TYPE = 'application/json';
export const MAX_COMMAS = 1 << 18;

/** A reply or stream that is not proven to come from the miner that was asked. */
export class InvalidReply extends Error {}

/** What the miner refused, and why: a stable `code`, `retryAfter` in seconds or null; `proven` if it signed that. */
export class Refused extends Error {
  constructor({ code, detail, retry_after: retryAfter = null }, proven) {
    super(`${code}: ${detail ?? ''}`);
    Object.assign(this, { code: String(code), retryAfter, proven });
  }
}

export function requestPayload({ target, body, nonce, sender, receiver }) {
  return ['btauth/1', 'sr25519', 'POST', target, hex(sha256(body)), nonce, sender, receiver].join('\n');
}

/** Headers of a request, and the digest that its reply hangs on. `nonce`: nanoseconds, a BigInt. */
export function signRequest(hotkey, { target, body, nonce, receiver }) {
  const payload = requestPayload({ target, body, nonce, sender: hotkey.address, receiver });
  const headers = {
    'X-Bittensor-Version': '1',
    'X-Bittensor-Hotkey': hotkey.address,
    'X-Bittensor-Nonce': String(nonce),
    'X-Bittensor-Receiver': receiver,
    'X-Bittensor-Signature': hotkey.sign(payload),
  };
  return { headers, digest: sha256(payload) };
}

/** Throws `InvalidReply` unless `receiver` signed exactly this reply to exactly this request. */
export function checkReply({ digest, receiver, status, contentType, body, signature }) {
  const payload = ['ranvier-reply/1', hex(digest), receiver, status, contentType, hex(sha256(body))].join('\n');
  if (!signature) throw new InvalidReply('the reply is not signed');
  if (!holds(signature, payload, receiver)) throw new InvalidReply('the reply is not signed by the miner that was asked');
}

/** JSON of a stranger: refused where it has more values than any honest text. */
export function readJson(bytes) {
  let commas = 0;
  for (const byte of bytes) commas += byte === 44;
  if (commas > MAX_COMMAS) throw new InvalidReply(`more than ${MAX_COMMAS} values`);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new InvalidReply('not JSON');
  }
}

/** Takes a stream's lines as they travel (without line end); believes none before its trailer held. */
export class StreamReader {
  #chain;
  #ended = false;
  finished = false;
  reply = null;

  constructor(digest, receiver) {
    Object.assign(this, { digest, receiver });
    this.#chain = digest;
  }

  /** A piece of text, or null for what ends the stream. Throws `InvalidReply`. */
  take(line) {
    const frame = readJson(line);
    const keys = frame !== null && typeof frame === 'object' ? Object.keys(frame) : [];
    if (this.finished || keys.length !== 1) throw new InvalidReply('a line out of place');
    if (keys[0] === 'signature') return this.#finish(frame.signature);
    this.#chain = sha256(this.#chain, line);
    if (this.#ended) throw new InvalidReply('a stream goes on after its end');
    if (keys[0] === 'piece' && typeof frame.piece === 'string') return frame.piece;
    if (keys[0] !== 'reply' && keys[0] !== 'refusal') throw new InvalidReply('a line of no known kind');
    this.#ended = true;
    this.reply = frame.reply ?? null;
    this.refusal = frame.refusal ?? null;
    return null;
  }

  #finish(signature) {
    const payload = ['ranvier-stream/1', hex(this.digest), this.receiver, hex(this.#chain)].join('\n');
    if (!this.#ended) throw new InvalidReply('a stream is signed before its end');
    if (typeof signature !== 'string' || !holds(signature, payload, this.receiver)) {
      throw new InvalidReply('the stream is not signed by the miner that was asked');
    }
    this.finished = true;
    return null;
  }
}
