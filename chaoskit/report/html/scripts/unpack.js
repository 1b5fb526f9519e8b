"use strict";
// Reads a block that report/html/packing.py wrote: a JSON header, and columns of integers.

/** Whether this browser can read the packed data. */
function canUnpack() {
  return typeof DecompressionStream === "function";
}

/** The header of a script block of JSON, with `columns` by name: a Float64Array each. */
async function unpack(block) {
  const packed = JSON.parse(block.textContent).deflated;
  const bytes = await inflate(Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0)));
  const length = new DataView(bytes.buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  return { ...header, columns: readColumns(bytes, 4 + length, header.columns) };
}

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function readColumns(bytes, place, lengths) {
  const columns = {};
  for (const [name, length] of lengths) {
    const column = new Float64Array(length);
    let sum = 0;
    for (let row = 0; row < length; row += 1) {
      let number = 0;
      let scale = 1;
      let byte;
      do {
        byte = bytes[place];
        place += 1;
        number += (byte & 0x7f) * scale; // no shifts: they have 32 bits
        scale *= 128;
      } while (byte & 0x80);
      sum += number % 2 ? -(number + 1) / 2 : number / 2;
      column[row] = sum;
    }
    columns[name] = column;
  }
  return columns;
}
