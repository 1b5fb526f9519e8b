"""Packs columns of integers for a page: delta-coded, deflated, in base64, in a block of JSON.

| bytes of the inflated block | what                                                                       |
|-----------------------------|----------------------------------------------------------------------------|
| 4                           | length of the header, little-endian                                        |
| so many                     | the header: JSON in UTF-8; its `columns` lists names and lengths in order  |
| the rest                    | of each column the differences of its numbers, zigzag-coded, as LEB128     |

`scripts/unpack.js` reads it. LEB128: DWARF 5, 7.6; zigzag: protobuf's sint64.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_RAW_DEFLATE = -15  # zlib's wbits for DecompressionStream("deflate-raw")
_MOST_BYTES = 10  # of a 64 bit number
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def pack(header: Mapping[str, Any], columns: Mapping[str, NDArray[np.integer[Any]]]) -> str:
    """The text of a script block of JSON; it holds nothing that HTML or JavaScript would interpret."""
    lengths = [[name, len(column)] for name, column in columns.items()]
    head = json.dumps({**header, "columns": lengths}, separators=(",", ":"), allow_nan=False).encode()
    body = b"".join((len(head).to_bytes(4, "little"), head, *map(varints, columns.values())))
    packer = zlib.compressobj(9, zlib.DEFLATED, _RAW_DEFLATE)
    packed = packer.compress(body) + packer.flush()
    return script_json({"deflated": base64.b64encode(packed).decode()})


def script_json(value: Any) -> str:
    """JSON that can stand in a script block: in ASCII, so without U+2028, and without `<`."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).translate(_ESCAPES)


def varints(column: NDArray[np.integer[Any]]) -> bytes:
    """The differences of these numbers, the first one from 0, each in as few bytes as it needs."""
    steps = column.astype(np.int64)
    steps[1:] -= column[:-1]
    left = ((steps << 1) ^ (steps >> 63)).view(np.uint64)
    sizes = np.ones(len(left), dtype=np.int64)
    for bits in range(7, 7 * _MOST_BYTES, 7):
        sizes += left >= np.uint64(1) << np.uint64(bits)
    begins = np.cumsum(sizes) - sizes
    found = np.zeros(int(sizes.sum()), dtype=np.uint8)
    for place in range(int(sizes.max(initial=0))):
        here = sizes > place
        more = np.where(sizes[here] > place + 1, 0x80, 0).astype(np.uint8)
        found[begins[here] + place] = (left[here] & np.uint64(0x7F)).astype(np.uint8) | more
        left = left >> np.uint64(7)
    return found.tobytes()
