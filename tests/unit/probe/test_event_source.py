"""Server-sent events are what a browser takes them for: Chromium's EventSource reads the same bodies."""

from __future__ import annotations

import html
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from transcripts import COMPLETE, FRAMED

from chaoskit.probe.framing import BARE, COMMENT, BodyParser

BROWSERS = ("chromium", "chromium-headless-shell", "google-chrome")
PARTS = (
    *(b"data: a", b"data:b", b"data", b"data:  c ", b"event: e", b"event:", b": note", b"", b"", b"", b"other: x"),
    *(b"id: 7", b"retry: 10", "data: zwölf 🥊 \u2028".encode(), b"data: {}", b"event: word"),
)
ENDS = (b"\n", b"\r\n", b"\r")
NAMES = ("a", "e", "lost", "word")
PAGE = """<!doctype html><pre id="found"></pre><script>
const names = %s, found = [];
let open = %d;
for (let number = 0; number < %d; number++) {
  found[number] = [];
  const source = new EventSource("/" + number);
  const take = event => found[number].push([event.type, event.data]);
  source.onmessage = take;
  for (const name of names) source.addEventListener(name, take);
  source.onerror = () => {
    source.close();
    if (!--open) document.getElementById("found").textContent = JSON.stringify(found);
  };
}
</script>"""


def random_bodies(count: int) -> list[bytes]:
    """Lines of all kinds with ends of all kinds, the same in each run."""
    chance = random.Random(7)
    return [
        b"".join(chance.choice(PARTS) + chance.choice(ENDS) for _ in range(chance.randint(1, 30))) for _ in range(count)
    ]


BODIES = [
    *(body for body in FRAMED),
    *(body for protocol, body in COMPLETE.items() if not protocol.startswith("ollama")),
    *random_bodies(150),
]


def types() -> set[str]:
    """The types of events in the transcripts, for which a page has to listen by name."""
    named = (re.findall(rb"^event: ?([\w.]+)", body, re.MULTILINE) for body in COMPLETE.values())
    return {name.decode() for found in named for name in found}


@contextmanager
def served() -> Iterator[str]:
    """The URL of a page that reads all bodies; each body has its number as its path."""
    page = (PAGE % (json.dumps(sorted({*NAMES, *types()})), len(BODIES), len(BODIES))).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            number = self.path.removeprefix("/")
            body = BODIES[int(number)] if number.isdecimal() else page
            self.send_response(200)
            self.send_header("content-type", "text/event-stream" if number.isdecimal() else "text/html; charset=utf-8")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *_: object) -> None:
            """Not on the screen."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/page"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def by_the_browser() -> list[list[tuple[str, str]]]:
    """The events of each body."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert browser, "no Chromium is installed: apt-get install chromium-headless-shell"
    with served() as url, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        words = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}"]
        words += ["--no-proxy-server", "--virtual-time-budget=60000", "--dump-dom", url]
        done = subprocess.run(
            [browser, *words], capture_output=True, text=True, timeout=120, check=False, env=os.environ
        )
    found = re.search(r'<pre id="found">(.+?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    return [[(kind, data) for kind, data in events] for events in json.loads(html.unescape(found[1]))]


@pytest.mark.parametrize("number", range(len(BODIES)))
def test_agrees_with_event_source(number: int, by_the_browser: list[list[tuple[str, str]]]) -> None:
    """Events with data are those that a page has, with the same types, in the same order."""
    ours = [
        (kind.decode() or "message", data.decode())
        for kind, data in BodyParser(100_000).feed(BODIES[number])
        if data and kind not in (COMMENT, BARE)
    ]

    assert ours == [event for event in by_the_browser[number] if event[1]]
