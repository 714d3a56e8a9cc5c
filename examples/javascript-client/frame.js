// Binary frames: a JSON head, then raw buffers. See "Frames" in docs/wire.md.
const MAGIC = 'RVF1';
const ALIGNMENT = 16;
const MAX_BUFFERS = 1024;

const aligned = (size) => Math.ceil(size / ALIGNMENT) * ALIGNMENT;

/** `head`: a value for JSON whose tensors and blobs name their `buffer`; `buffers`: their bytes. */
export function writeFrame(head, buffers) {
  if (buffers.length > MAX_BUFFERS) throw new Error(`a frame has at most ${MAX_BUFFERS} buffers`);
  const text = Buffer.from(JSON.stringify(head));
  const start = Buffer.alloc(16 + 8 * buffers.length);
  start.write(MAGIC, 'latin1');
  start.writeUInt32LE(text.length, 4);
  start.writeUInt32LE(buffers.length, 8);
  buffers.forEach((buffer, place) => start.writeBigUInt64LE(BigInt(buffer.length), 16 + 8 * place));
  const parts = [start, text, ...buffers];
  const padded = parts.map((part, place) =>
    place === parts.length - 1 ? part : Buffer.concat([part, Buffer.alloc(aligned(part.length) - part.length)]),
  );
  return Buffer.concat(padded);
}

/** Head and buffers; throws for any bytes but those of a frame whose every buffer is named once. */
export function readFrame(bytes) {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (whole.length < 16 || whole.toString('latin1', 0, 4) !== MAGIC) throw new Error('no frame of this version');
  const count = whole.readUInt32LE(8);
  if (count > MAX_BUFFERS || whole.readUInt32LE(12) !== 0) throw new Error('no frame of this version');
  let end = 16 + 8 * count;
  if (whole.length < end) throw new Error('the frame is cut short');
  const sizes = [BigInt(whole.readUInt32LE(4))];
  for (let place = 0; place < count; place++) sizes.push(whole.readBigUInt64LE(16 + 8 * place));
  const parts = sizes.map((size) => {
    const begin = aligned(end);
    if (whole.subarray(end, begin).some((byte) => byte !== 0)) throw new Error("the frame's padding is not zero");
    if (size > BigInt(whole.length)) throw new Error("the frame's length is not what its head says");
    end = begin + Number(size);
    return whole.subarray(begin, end);
  });
  if (end !== whole.length) throw new Error("the frame's length is not what its head says");
  const [text, ...buffers] = parts;
  const head = JSON.parse(text.toString());
  const named = new Set();
  const look = (value) => {
    if (value === null || typeof value !== 'object') return;
    if (Number.isInteger(value.buffer)) named.add(value.buffer);
    Object.values(value).forEach(look);
  };
  look(head);
  if (named.size !== count || [...named].some((place) => place < 0 || place >= count)) {
    throw new Error('a buffer of the frame belongs to no field');
  }
  return { head, buffers };
}

/** A field for a head, and its bytes: `tensor(new Float32Array([1, 2]), 'float32', [2], buffers)`. */
export function tensor(values, dtype, shape, buffers) {
  buffers.push(Buffer.from(values.buffer, values.byteOffset, values.byteLength));
  return { dtype, shape, buffer: buffers.length - 1 };
}

/** The numbers of a float32 tensor. */
export function float32(field, buffers) {
  if (field.dtype !== 'float32') throw new Error(`the tensor holds ${field.dtype}, not float32`);
  return new Float32Array(Uint8Array.from(buffers[field.buffer]).buffer);
}
