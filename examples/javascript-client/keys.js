// sr25519 hotkeys and their ss58 addresses (format 42).
import { blake2b } from '@noble/hashes/blake2.js';
import { base58 } from '@scure/base';
import { getPublicKey, secretFromSeed, sign, verify } from '@scure/sr25519';

const FORMAT = 42;
const PREFIX = new TextEncoder().encode('SS58PRE');

const checksum = (bytes) => blake2b(Buffer.concat([PREFIX, bytes]), { dkLen: 64 }).subarray(0, 2);

export const hex = (bytes) => Buffer.from(bytes).toString('hex');

/** Bytes of lower-case hex; throws for any other spelling. */
export function bytesOf(text) {
  if (!/^([0-9a-f]{2})*$/.test(text)) throw new Error('not lower-case hexadecimal');
  return Uint8Array.from(Buffer.from(text, 'hex'));
}

export function addressOf(publicKey) {
  const body = Uint8Array.from([FORMAT, ...publicKey]);
  return base58.encode(Uint8Array.from([...body, ...checksum(body)]));
}

/** The public key of a canonical address; throws for any other text. */
export function publicKeyOf(address) {
  const bytes = base58.decode(address);
  const key = bytes.subarray(1, 33);
  if (bytes.length !== 35 || addressOf(key) !== address) throw new Error(`${address} is no ss58 address of format 42`);
  return key;
}

export function holds(signature, message, address) {
  try {
    const bytes = bytesOf(signature.replace(/^0x/, ''));
    return signature.startsWith('0x') && verify(Buffer.from(message), bytes, publicKeyOf(address));
  } catch {
    return false; // not hexadecimal, not 64 bytes, no point of the curve: no signature either way
  }
}

export class Hotkey {
  #secret;

  /** `seed`: 32 bytes, in hex with or without 0x (`secretSeed` of a wallet's hotkey file). */
  constructor(seed) {
    this.#secret = secretFromSeed(bytesOf(seed.replace(/^0x/, '')));
    this.address = addressOf(getPublicKey(this.#secret));
  }

  sign(message) {
    return `0x${hex(sign(this.#secret, Buffer.from(message)))}`;
  }
}
