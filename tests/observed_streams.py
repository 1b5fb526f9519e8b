"""A model whose streams have every shape, and a relay before it that notes when their bytes arrived; as programs.

    python tests/observed_streams.py model PORT
    python tests/observed_streams.py relay PORT HOST PORT

PORT 0 is a free one; the port is the first line that both print. The relay is its own reader: blocking sockets, one
stamp after each recv, no line of chaoskit. It prints a line of JSON for each connection: the client's number of the
`stream`, `begin`, when the request arrived, and `reads`, [stamp, text] of each recv from the model; stamps are of the
monotonic clock, ns. The n-th stream of the model has the n-th shape of `SHAPES`.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Iterator

FIRST, STEP = 0.15, 0.02  # s: to the first token, and from one event to the next
USAGE_LATER = 0.005  # s after the last token
TOKENS = 12
SHAPES = ("plain", "role first", "four tokens an event", "reasoning", "two events a write")
PRINTING = threading.Lock()
Write = tuple[float, bytes]
"""When it is due, s after the request, and what it is."""


def main(words: list[str]) -> None:
    """One of both, until it is killed."""
    kind, port, *rest = words
    with socket.create_server(("", int(port)), backlog=256) as listener:
        print(listener.getsockname()[1], flush=True)
        for number in range(10**9):
            client, _ = listener.accept()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            work = (answer, client, number) if kind == "model" else (pass_on, client, (rest[0], int(rest[1])))
            threading.Thread(target=work[0], args=work[1:], daemon=True).start()


def answer(client: socket.socket, number: int) -> None:
    """Stream one answer."""
    with client:
        asked = b""
        while not is_whole(asked):
            asked += client.recv(1 << 16)
        begin = time.monotonic()
        client.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        for due, text in script(SHAPES[number % len(SHAPES)], number):
            time.sleep(max(0.0, begin + due - time.monotonic()))
            client.sendall(text)


def is_whole(asked: bytes) -> bool:
    """Whether this is a request with its body."""
    head, end, body = asked.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(end) and len(body) >= int(lengths[0].partition(b":")[2] if lengths else 0)


def script(shape: str, number: int) -> Iterator[Write]:
    """What is written when; a stream's first token comes a little later than that of the one before."""
    first = FIRST + 0.003 * (number % 17)
    tokens = [event({"content": "word "})] * TOKENS
    if shape == "role first":
        yield first / 2, event({"role": "assistant", "content": ""})
    if shape == "four tokens an event":
        tokens = [event({"content": "word " * 4})] * (TOKENS // 4)
    if shape == "reasoning":
        tokens[:4] = [event({"reasoning_content": "hm "})] * 4
    if shape == "two events a write":
        tokens = [each * 2 for each in tokens[::2]]
    for at, token in enumerate(tokens):
        is_last = at + 1 == len(tokens)
        yield first + at * STEP, token + event({}, "stop") * is_last
    usage = {"prompt_tokens": 5, "completion_tokens": TOKENS, "total_tokens": TOKENS + 5}
    yield first + (len(tokens) - 1) * STEP + USAGE_LATER, line({"choices": [], "usage": usage}) + b"data: [DONE]\n\n"


def event(delta: dict[str, str], finish: str | None = None) -> bytes:
    """A chunk of OpenAI's."""
    return line({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], "usage": None})


def line(data: object) -> bytes:
    """A server-sent event."""
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def pass_on(client: socket.socket, model: tuple[str, int]) -> None:
    """One connection: the request to the model, and its answer back, with the stamps of its reads."""
    with client, socket.create_connection(model) as upstream:
        upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        asked, begin = client.recv(1 << 16), time.monotonic_ns()
        while not is_whole(asked):
            asked += client.recv(1 << 16)
        upstream.sendall(asked)
        reads: list[tuple[int, str]] = []
        while data := upstream.recv(1 << 16):
            reads.append((time.monotonic_ns(), data.decode("latin-1")))
            client.sendall(data)
    told = json.dumps({"stream": number_of(asked), "begin": begin, "reads": reads})
    with PRINTING:
        print(told, flush=True)


def number_of(asked: bytes) -> int:
    """The number that the client gave its stream."""
    return int(asked.lower().partition(b"x-chaoskit-stream: ")[2].partition(b"\r\n")[0])


if __name__ == "__main__":
    main(sys.argv[1:])
