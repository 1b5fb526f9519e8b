"""Tests that every command escapes untrusted text, so that no terminal obeys it."""

from __future__ import annotations

import json
import os
import pty
import re
import socket
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import warm
from made_runs import Made, plan

from chaoskit.engine.lease import Lease, Leases, Location

TOP = Path(__file__).parents[3]
EXPERIMENT = (TOP / "experiments" / "loss-first-token.yaml").read_text()
EVIL = (
    "=1+1|<script>[red]:smile:[link=http://evil]\x1b[31mEVIL\x1b[2J\x1b]8;;http://evil\x07\x9b31m\x90\u202e\u2066"
    "\u200b\ufeff\u2028\x85\x7f\x08\rCR\nchaoskit: FORGED\U000e0041"
)
NAME = EVIL.replace("/", ":")[:200]  # of a file
STYLE = re.compile(r"\x1b\[[0-9;]*m")  # rich's


def chaoskit(*words: str, env: dict[str, str] | None = None) -> tuple[int, list[str]]:
    """The exit code, and what it wrote into its two pipes."""
    piped = warm.chaoskit(*words, environment=env)
    return piped.returncode, [piped.stdout, piped.stderr]


def started(*words: str, env: dict[str, str]) -> tuple[int, list[str]]:
    """The same with variables that Python reads as it starts."""
    argv = [sys.executable, "-m", "chaoskit", *words]
    piped = subprocess.run(argv, capture_output=True, timeout=60, check=False, env=os.environ | env)
    return piped.returncode, [piped.stdout.decode(), piped.stderr.decode()]


def drawn(*words: str, env: dict[str, str] | None = None) -> tuple[int, list[str]]:
    """The same of a terminal, without the styles that rich gives."""
    ours, theirs = pty.openpty()
    with ThreadPoolExecutor(1) as pool, os.fdopen(theirs, "w") as screen:
        shown = pool.submit(read, ours)
        environment = (env or {}) | {"TERM": "xterm", "COLUMNS": "100"}
        done = warm.chaoskit(*words, stdout=screen, stderr=screen, environment=environment)
        screen.close()
        seen = shown.result().decode().replace("\r\n", "\n")
    os.close(ours)
    assert "\x1b[31mEVIL" not in seen
    return done.returncode, [STYLE.sub("", seen)]


def read(terminal: int) -> bytes:
    """What it shows until every program has gone."""
    seen = b""
    with suppress(OSError):  # EIO
        while text := os.read(terminal, 65536):
            seen += text
    return seen


def check(texts: list[str]) -> None:
    """Nothing there that a terminal would obey, and no forged line."""
    for text in texts:
        assert all(sign in " \n" or unicodedata.category(sign)[0] not in "CZ" for sign in text)
        assert not any(line.startswith("chaoskit: FORGED") for line in text.splitlines())


def quoted(text: str) -> str:
    """As YAML reads it again."""
    escapes = "".join(f"\\U{ord(sign):08x}" if not sign.isprintable() else sign for sign in text.replace('"', ""))
    return f'"{escapes}"'


def test_the_text_of_an_experiment(tmp_path: Path) -> None:
    """Its question, its objectives and its file's name, in what validate and plan say of a good file."""
    file = tmp_path / NAME
    file.write_text(re.sub(r"(?<=question: ).*", lambda _: quoted(EVIL), EXPERIMENT))

    validated, planned, told = (chaoskit(*words, str(file)) for words in (["validate"], ["plan"], ["plan", "--json"]))
    shown = drawn("plan", str(file))

    for code, texts in (validated, planned, told, shown):
        assert code == 0
        check(texts)
    assert "=1+1|<script>[red]:smile:[link=http:" in " ".join(planned[1][0].split())
    assert r"\x1b[31mEVIL" in "".join(planned[1][0].split())
    assert json.loads(told[1][0])["question"].startswith("=1+1|<script>")
    assert "\x1b[31mEVIL" in json.loads(told[1][0])["question"]


@pytest.mark.parametrize(
    "text",
    [
        f"{quoted(EVIL)}: 1\n",
        f"name: {quoted(EVIL)}\n",
        f"faults: {{{quoted(EVIL)}: {{{quoted(EVIL)}: {quoted(EVIL)}}}}}\n",
        f"a: 1\na: [{quoted(EVIL)}\n",
        f"{quoted(EVIL)}: 1\n{quoted(EVIL)}: 1\n",
        f"name: &{'a' * 10} *b\nx: !<{'%1B[2J'}> y\n",
        "name: \x1b[31mEVIL\n",
        "%\u202eEVIL \x07\n",
        'name: "\\ud800"\n',
        EXPERIMENT.replace("timeline:", f"objectives: [{quoted(EVIL)}]\nx-{{: 1\ntimeline:"),
        EXPERIMENT + f"matrix: {{{quoted(EVIL)}: [{quoted(EVIL)}]}}\n",
    ],
    ids=range(11),
)
def test_complaints_about_a_file(text: str, tmp_path: Path) -> None:
    """Keys, values, YAML's own sentences and the file's name, in what is said of a bad one."""
    file = tmp_path / NAME
    file.write_text(text, errors="surrogatepass")

    for name in ("validate", "inject"):
        code, texts = chaoskit(name, str(file))

        assert code == 2
        check(texts)


@pytest.mark.parametrize(
    "words",
    [
        [f"--{EVIL}"],
        [EVIL],
        ["plan", EVIL, EVIL],
        ["plan", "--variant", EVIL, str(TOP / "experiments" / "loss-first-token.yaml")],
        ["run", EVIL],
        ["report", EVIL],
        ["report", "--format", EVIL, "."],
        ["status", EVIL],
        ["conduct", EVIL],
        ["kernel", EVIL],
        ["probe", EVIL],
        ["probe", "http://127.0.0.1:9", "--header", EVIL],
        ["probe", "http://127.0.0.1:9", "--protocol", EVIL],
        ["probe", "http://127.0.0.1:9", "--objective", EVIL],
        ["probe", "http://127.0.0.1:9", "--api-key-env", EVIL],
        ["probe", "http://127.0.0.1:9", "--requests", EVIL],
        ["probe", "http://127.0.0.1:9", "--prompt-size", EVIL],
        ["pmtu", EVIL],
        ["serve", "--host", EVIL],
        ["serve", "--first-token", EVIL],
        ["inject", "--to", EVIL, "--for", EVIL],
        ["inject", "--interface", EVIL, "--everything", "--down", EVIL, "--for", "1s"],
        ["exec", "--down", "delay 1ms", "--", EVIL],
        ["exec", "--down", EVIL, "--", "true"],
        ["run", str(TOP / "experiments" / "loss-first-token.yaml"), "--kernel", EVIL, "--substrate", "uml"],
        ["run", str(TOP / "experiments" / "loss-first-token.yaml"), "--substrate", EVIL],
    ],
    ids=lambda words: " ".join(ascii(word)[1:20] for word in words),
)
def test_messages_about_options(words: list[str], tmp_path: Path) -> None:
    """A word that makes no sense comes back as visible characters, with exit code 2 or 3 (127: no such command)."""
    ascii_only = {"PYTHONIOENCODING": "ascii", "CHAOSKIT_STATE": str(tmp_path)}

    code, texts = chaoskit(*words, env=ascii_only)

    assert code in (2, 3, 127)
    check(texts)
    assert all(text.isascii() for text in texts)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """A path that is no UTF-8, and a locale that has no other signs than ASCII, end in a sentence."""
    file = os.fsencode(tmp_path) + b"/\xff\xfe\x1b[2J\xe2.yaml"
    Path(os.fsdecode(file)).write_text(EXPERIMENT)
    ascii_locale = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}

    for say, env in ((chaoskit, {}), (started, ascii_locale)):
        for words in (["validate"], ["plan"], ["report"], [b"no-such-\xff"]):
            code, texts = say(*map(os.fsdecode, words), os.fsdecode(file), env=env)

            assert code == (0 if words[0] in ("validate", "plan") else 2), texts
            check(texts)
            assert r"\udcff" in "".join(texts) or words == ["plan"]


def hostile_run(run: Path) -> Path:
    """A run directory in which everything that a server or an author can write is hostile."""
    made = Made(plan(["ttft_p95 < 150ms during wifi"])).phases().many(0, 9500, 50).many(10_000, 19_500, 500)
    made.stream(16_000, [], "error_event", ended=16_100, detail=EVIL)
    made.stream(16_500, [], "http_error", ended=16_600, detail=EVIL)
    made.outcome = {"how": "refused", "detail": EVIL}
    made.write(run)
    told = json.loads((run / "plan.json").read_text())
    told |= {"name": EVIL, "question": EVIL, "warnings": [EVIL]}
    (run / "plan.json").write_text(json.dumps(told))
    (run / "machine.json").write_text(json.dumps({"clock": EVIL, "kernel": EVIL}))
    return run


def test_a_run_directory(tmp_path: Path) -> None:
    """What a server said, and what a directory that somebody sent claims of itself."""
    run = hostile_run(tmp_path / NAME)

    shown, told = chaoskit("report", str(run)), chaoskit("report", "--format", "json", str(run))

    for code, texts in (shown, told, drawn("report", str(run))):
        assert code == 3
        check(texts)
    assert r"\x1b[31mEVIL" in "".join(shown[1][0].split())
    assert "\x1b[31mEVIL" in json.loads(told[1][0])["outcome"]["detail"]


def test_a_lease(tmp_path: Path) -> None:
    """Whoever wrote it, and whatever: its command, user and interface, what is left over, and a folder's name."""
    here = Location.current()
    lease = Lease(
        id="20261124T120730-4711",
        **dict.fromkeys(("command", "user", "interface"), EVIL),  # type: ignore[arg-type]
        since="2026-11-24T12:07:30.000+00:00",
        until="2026-11-24T12:08:30.000+00:00",
        deadline=1,
        injection={"to": [EVIL]},
        machine=here.machine,
        boot=here.boot,
        namespace=here.namespace,
    )
    leases = Leases(tmp_path)
    leases.begin(lease)
    leases.write_leftovers(lease.id, [EVIL])
    (tmp_path / "leases" / NAME).mkdir()

    env = {"CHAOSKIT_STATE": str(tmp_path)}
    shown, told = (chaoskit("status", *words, env=env) for words in ([], ["--json"]))

    for code, texts in (shown, told, drawn("status", env=env)):
        assert code == 0
        check(texts)
    assert r"\x1b[31mEVIL" in "".join(shown[1][0].split())
    assert json.loads(told[1][0])["leases"][0]["user"] == EVIL


HOLDER = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1].replace('@', chr(0))); s.listen(); "
HOLDER += "print('ready', flush=True); sys.stdin.read()"
TAKER = "import sys; from chaoskit.cli.main import run_program; from chaoskit.engine.lock import Lock; "
TAKER += "sys.exit(run_program(lambda: Lock.take(sys.argv[1])))"


def test_the_command_line_of_another_process() -> None:
    """The command line of the process that holds the lock is untrusted."""
    name = f"chaoskit-test-{os.getpid()}"
    words = [sys.executable, "-c", HOLDER, f"@{name}/0", EVIL]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        taken = subprocess.run([sys.executable, "-c", TAKER, name], capture_output=True, timeout=60, check=False)
        holder.communicate()

    assert taken.returncode == 3
    check([taken.stdout.decode(), taken.stderr.decode()])
    assert r"\x1b[31mEVIL" in taken.stderr.decode()


RAW = EVIL.encode("utf-8").replace(b"\n", b"").replace(b"\r", b"")
ANSWERS = {
    "body": b"HTTP/1.1 500 Oops\r\ncontent-length: %d\r\n\r\n%s" % (len(RAW), RAW),
    "reason": b"HTTP/1.1 500 \x1b[31mEVIL\x9b2J\r\ncontent-length: 0\r\n\r\n",
    "header": b"HTTP/1.1 500 x\r\ncontent-type: \x1b[31mEVIL\x9b\r\nx-\x1b[31mEVIL: 1\r\ncontent-length: 0\r\n\r\n",
    "type": b"HTTP/1.1 200 OK\r\ncontent-type: text/\xe2\x80\xae[31mEVIL\x9b\r\ncontent-length: 4\r\n\r\nEVIL",
    "error event": b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    b"event: error\r\ndata: " + json.dumps({"error": {"message": EVIL, "type": EVIL}}).encode() + b"\r\n\r\n",
    "model": b"HTTP/1.1 404 x\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n"
    + json.dumps({"error": {"message": EVIL, "code": EVIL}}).encode(),
    "no HTTP": RAW + b"\r\n\r\n",
}


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server on the loopback that gives everybody this answer; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_what_a_server_answers(answer: bytes) -> None:
    """Its status line, headers, error bodies and events."""
    with answering(answer) as url:
        shown, told = (chaoskit("probe", url, "--requests", "1", *words) for words in ([], ["--json"]))
        on_screen = drawn("probe", url, "--requests", "1")

    for code, texts in (shown, told, on_screen):
        assert code == 3
        check(texts)
    assert told[1][0] == ""  # no stream, no numbers
