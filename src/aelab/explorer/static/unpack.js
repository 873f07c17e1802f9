// Arrays packed by pack.py to typed arrays, decompressed by the browser.

let halves; // the float32 values of all 65,536 float16 numbers

function halfTable() {
  const table = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const exponent = (bits >> 10) & 31, fraction = bits & 1023;
    let size = exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024);
    if (exponent === 31) size = fraction ? NaN : Infinity;
    table[bits] = bits >> 15 ? -size : size;
  }
  return table;
}

const ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%()*+-;=?@^_`{|}~,.:";
const DIGITS = new Uint8Array(128);
[...ALPHABET].forEach((character, digit) => { DIGITS[character.charCodeAt(0)] = digit; });

/** Base 85: five characters to four bytes. */
function decodeBase85(text, length) {
  const bytes = new DataView(new ArrayBuffer((4 * text.length) / 5));
  for (let from = 0, to = 0; from < text.length; to += 4) {
    let word = 0;
    for (let k = 0; k < 5; k++) word = 85 * word + DIGITS[text.charCodeAt(from++)];
    bytes.setUint32(to, word);
  }
  return new Uint8Array(bytes.buffer, 0, length);
}

/** The Float32Array or Uint8Array of a packed record. */
export async function unpack({ kind, length, data }) {
  const packed = new Blob([decodeBase85(data, length)]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const planes = new Uint8Array(await new Response(packed).arrayBuffer());
  if (kind === "uint8") return planes;
  const width = Number(kind.slice("float".length)) / 8, count = planes.length / width;
  if (width === 2) {
    halves ??= halfTable();
    const values = new Float32Array(count);
    for (let i = 0; i < count; i++) values[i] = halves[planes[i] | (planes[count + i] << 8)];
    return values;
  }
  const bytes = new Uint8Array(4 * count), low = 4 - width; // float24 has no lowest byte
  for (let k = 0; k < width; k++) for (let i = 0; i < count; i++) bytes[4 * i + low + k] = planes[k * count + i];
  return new Float32Array(bytes.buffer);
}

/** Typed arrays by name from packed records by name. */
export async function unpackAll(records) {
  const pairs = Object.entries(records).map(async ([name, record]) => [name, await unpack(record)]);
  return Object.fromEntries(await Promise.all(pairs));
}
