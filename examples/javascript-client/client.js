// Calls miners: one signed request, one proven reply.
import { Agent, request as httpRequest } from 'node:http';

import { readFrame, writeFrame } from './frame.js';
import { checkReply, FRAME, InvalidReply, JSON_TYPE, readJson, Refused, signRequest, STREAM, StreamReader } from './wire.js';

const NEWLINE = 10;

export class Client {
  #nonce = 0n;
  #agent = new Agent({ keepAlive: true });

  /** `deadline` in milliseconds, for each call; `maxReply` in bytes. */
  constructor(hotkey, { deadline = 12_000, maxReply = 1 << 20 } = {}) {
    Object.assign(this, { hotkey, deadline, maxReply });
  }

  close() {
    this.#agent.destroy();
  }

  /** The reply of `synapse` (its name) to `fields`. Throws `Refused`, `InvalidReply`, or node's errors of the network. */
  async ask(miner, synapse, fields) {
    const { response, sent } = await this.#send(miner, synapse, JSON_TYPE, Buffer.from(JSON.stringify(fields)), '');
    const body = await this.#proven(response, sent, JSON_TYPE);
    return readJson(body);
  }

  /** The same in frames: `{ head, buffers }` both ways. */
  async askFrame(miner, synapse, { head, buffers }) {
    const { response, sent } = await this.#send(miner, synapse, FRAME, writeFrame(head, buffers), '&codec=binary');
    return readFrame(await this.#proven(response, sent, FRAME));
  }

  /** Yields pieces as they come, then returns the reply: only then is any of it proven. A cut stream throws. */
  async *stream(miner, synapse, fields) {
    const body = Buffer.from(JSON.stringify(fields));
    const { response, sent } = await this.#send(miner, synapse, JSON_TYPE, body, '&mode=stream');
    if (response.statusCode !== 200 || response.headers['content-type'] !== STREAM) {
      await this.#proven(response, sent, STREAM); // throws what was refused
      throw new InvalidReply('not a stream');
    }
    const reader = new StreamReader(sent.digest, miner.hotkey);
    for await (const line of linesOf(response, this.maxReply)) {
      const piece = reader.take(line);
      if (piece !== null) yield piece;
    }
    if (!reader.finished) throw new InvalidReply('the stream was cut short');
    if (reader.refusal) throw new Refused(reader.refusal, true);
    return reader.reply;
  }

  async #send(miner, synapse, contentType, body, more) {
    const now = BigInt(Date.now()) * 1_000_000n;
    this.#nonce = this.#nonce + 1n > now ? this.#nonce + 1n : now;
    const target = `/${synapse}?deadline=${this.deadline}${more}`;
    const { headers, digest } = signRequest(this.hotkey, { target, body, nonce: this.#nonce, receiver: miner.hotkey });
    const options = {
      agent: this.#agent,
      host: miner.host,
      port: miner.port,
      path: target,
      method: 'POST',
      headers: { ...headers, 'Content-Type': contentType, 'Content-Length': body.length },
      signal: AbortSignal.timeout(this.deadline),
    };
    const response = await new Promise((resolve, reject) => {
      httpRequest(options, resolve).on('error', reject).end(body);
    });
    if (response.headers['content-encoding']) {
      response.destroy();
      throw new InvalidReply('the reply is compressed by a header, which nobody signs');
    }
    return { response, sent: { digest, receiver: miner.hotkey } };
  }

  /** The body of an answer of this content type; throws what it is instead. */
  async #proven(response, sent, wanted) {
    const parts = [];
    let size = 0;
    for await (const part of response) {
      parts.push(part);
      size += part.length;
      if (size > this.maxReply) throw new InvalidReply(`the reply is longer than ${this.maxReply} bytes`);
    }
    const body = Buffer.concat(parts);
    const contentType = (response.headers['content-type'] ?? '').split(';')[0].trim();
    const signature = response.headers['x-ranvier-signature'];
    const told = { ...sent, status: response.statusCode, contentType, body, signature };
    if (response.statusCode >= 400) {
      let proven = true;
      try {
        checkReply(told);
      } catch {
        proven = false; // strangers are refused without a signature
      }
      throw new Refused(readJson(body), proven);
    }
    checkReply(told);
    if (response.statusCode !== 200 || contentType !== wanted) throw new InvalidReply(`${contentType} was not asked for`);
    return body;
  }
}

async function* linesOf(response, most) {
  let rest = Buffer.alloc(0);
  let size = 0;
  for await (const part of response) {
    size += part.length;
    if (size > most) throw new InvalidReply(`the stream is longer than ${most} bytes`);
    rest = Buffer.concat([rest, part]);
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
      yield rest.subarray(0, end);
      rest = rest.subarray(end + 1);
    }
  }
  if (rest.length) throw new InvalidReply('the stream was cut in a line');
}
