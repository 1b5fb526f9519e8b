"""Tests `chaoskit exec FILE`: a user's command in the lab of an experiment, in a guest if needed."""

from __future__ import annotations

import hashlib
import os
import pty
import pwd
import select
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import warm

from chaoskit.clock import RealClock

CLOCK = RealClock()
EXPERIMENTS = Path(__file__).parents[2] / "experiments"
LAB = EXPERIMENTS / "loss-first-token.yaml"
PATIENCE = 180  # s; a guest that shares its processor with four others has taken 63
SDK = """
import time, openai
client = openai.OpenAI()
began = time.monotonic()
asked = [{"role": "user", "content": "hi"}]
answer = client.chat.completions.create(model="any", messages=asked, stream=True, max_tokens=5)
tokens = [each.choices[0].delta.content for each in answer if each.choices and each.choices[0].delta.content]
print(len(tokens), time.monotonic() - began)
"""
SLOW = """\
name: far
question: How far?
stage: {lab: edge}
workload: {protocol: openai-chat, max-concurrency: 1}
faults:
  far: {link: client-router, direction: down, netem: {delay: 200ms}}
  lost: {link: client-router, direction: both, netem: {loss: 100%}}
timeline: [{far: 1s}, {lost: 1s}]
"""


def words(*argv: str, options: Sequence[str] = (), file: Path = LAB) -> list[str]:
    """What a user types."""
    return [sys.executable, "-m", "chaoskit", "exec", str(file), "--substrate", "uml", *options, "--", *argv]


def execute(*argv: str, options: Sequence[str] = (), file: Path = LAB, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run it to its end, without input."""
    return warm.chaoskit(*words(*argv, options=options, file=file)[3:], limit=PATIENCE, **more)


def from_a_shell(*argv: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """The same with an input, or a large environment."""
    return subprocess.run(words(*argv), capture_output=True, text=True, timeout=PATIENCE, check=False, **more)


def own_words(stderr: str) -> list[str]:
    """What the command said, without the lines of chaoskit."""
    return [line for line in stderr.splitlines() if not line.startswith("chaoskit: ")]


def test_an_sdk_streams_in_the_lab(tmp_path: Path) -> None:
    """The openai SDK finds the lab's server by its environment alone, believes its certificate, and gets its tokens;
    so does curl."""
    (tmp_path / "tls.yaml").write_text(LAB.read_text().replace("{lab: edge}", "{lab: edge, tls: true}"))
    curl = "curl -sS -o /dev/null -w '%{http_code} %{ssl_verify_result}\n' $CHAOSKIT_TARGET/v1/models"

    script = f'{curl}; exec "$0" -c "$1"'
    answer = execute("sh", "-c", script, sys.executable, SDK, file=tmp_path / "tls.yaml")

    assert answer.returncode == 0, answer.stderr
    by_curl, by_sdk = answer.stdout.splitlines()
    assert by_curl == "200 0", answer.stderr
    assert by_sdk.split()[0] == "5"


@pytest.mark.flaky(reruns=4)  # real time, on a machine that others use
def test_the_fault_that_was_named_is_in_force(tmp_path: Path) -> None:
    """A delay of 200 ms is one to curl, without a fault there is none, and with all lost there is no answer. One line
    each says where it runs and which faults there are, the same place with a fault and without."""
    (tmp_path / "far.yaml").write_text(SLOW)
    curl = ("sh", "-c", "curl -sS -m 3 -o /dev/null -w '%{time_connect}' $CHAOSKIT_TARGET/v1/models")

    ways: dict[str, tuple[str, ...]] = {"": (), "far": ("--fault", "far"), "lost": ("--fault", "lost")}
    took = {fault: execute(*curl, options=way, file=tmp_path / "far.yaml") for fault, way in ways.items()}

    assert 0.2 <= float(took["far"].stdout) < 0.35
    assert float(took[""].stdout) < 0.15
    assert took["lost"].returncode == 28, took["lost"].stderr
    assert took["far"].stderr == "chaoskit: fault far, in a guest (as asked), real clock\n"
    assert took[""].stderr.splitlines() == [
        "chaoskit: in a guest (as asked), real clock",
        "chaoskit: no fault is in force; far has --fault far or --fault lost",
    ]


def test_its_exit_code_is_ours() -> None:
    """Through Debian's kernel too; a signal's."""
    assert execute("sh", "-c", "kill -9 $$", options=("--kernel", "linux.uml")).returncode == 137


def test_streams_and_a_large_environment_come_whole() -> None:
    """Two megabytes in are the same two megabytes out; standard error comes by itself, and so does as large an
    environment as a command can be given: ten times a hundred kilobytes, and every sign in them."""
    data = os.urandom(1 << 20).hex()
    large = {f"LARGE_{number}": "".join(chr(1 + (number + at) % 126) for at in range(100_000)) for number in range(10)}
    program = "import hashlib, os; print(hashlib.sha256(repr(sorted((k, v) for k, v in os.environ.items() if "
    program += "k.startswith('LARGE'))).encode()).hexdigest())"

    script = ("sh", "-c", 'cat; exec "$0" -c "$1" >&2', sys.executable, program)
    answer = from_a_shell(*script, input=data, env=os.environ | large)

    assert answer.returncode == 0
    assert answer.stdout == data
    assert own_words(answer.stderr) == [hashlib.sha256(repr(sorted(large.items())).encode()).hexdigest()]


def test_input_without_end_is_no_matter(tmp_path: Path) -> None:
    """A command that reads one line of endless input ends well, and what was not read takes no room."""
    with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as endless:
        answer = from_a_shell("head", "-n", "1", stdin=endless.stdout, env=os.environ | {"TMPDIR": str(tmp_path)})
        endless.kill()

    assert (answer.returncode, answer.stdout, own_words(answer.stderr)) == (0, "y\n", [])
    assert list(tmp_path.iterdir()) == []


def test_input_that_cannot_be_read_ends_it() -> None:
    """The command does not wait for input that cannot come: exit code 3, and a sentence."""
    with socket.socket() as unconnected:
        answer = from_a_shell("cat", stdin=unconnected)

    assert answer.returncode == 3
    assert "standard input cannot be read: Transport endpoint is not connected" in answer.stderr


def test_under_sudo_it_is_its_callers_in_a_guest_too(tmp_path: Path) -> None:
    """Root here may read the files of others, root in a guest too: the command may read its caller's, and write to its
    folder for temporary files."""
    script = "id -u; echo $HOME; touch $TMPDIR/file && echo written; cat /etc/shadow >/dev/null || echo unread"
    nobody = pwd.getpwnam("nobody")
    sudo = {"SUDO_UID": str(nobody.pw_uid), "SUDO_GID": str(nobody.pw_gid)}

    answer = execute("sh", "-c", script, environment=sudo, cwd=tmp_path)

    if os.geteuid() == 0:
        assert answer.stdout.split() == [str(nobody.pw_uid), nobody.pw_dir, "written", "unread"], answer.stderr
        assert "chaoskit: the command runs as nobody, who called sudo; --as-root runs it as root" in answer.stderr
    else:
        assert answer.stdout.split()[0] == "0", answer.stderr


@pytest.mark.parametrize("moment", ["it hands in", "it has begun"])
def test_the_environment_touches_no_disk(tmp_path: Path, moment: str) -> None:
    """Not while the guest boots, not while the command runs, and not after a kill -9 at any moment."""
    secret = os.urandom(16).hex()
    places, seen = (tmp_path, Path("/dev/shm")), set[str]()
    script = "echo begun; while :; do sleep 0.05; done"
    environment = os.environ | {"TMPDIR": str(tmp_path), "SECRET": secret}
    with subprocess.Popen(words("sh", "-c", script), stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        began, deadline = time.time(), CLOCK.now() + PATIENCE * 10**9
        while not (select.select([process.stdout], [], [], 0)[0] if moment == "it has begun" else None):
            seen |= holders(places, secret, began)
            if moment == "it hands in" and list(tmp_path.glob("*/.guest-*/asks")):
                break
            assert CLOCK.now() < deadline, "it has not come to that"
        process.kill()

    assert seen | holders(places, secret, began) == set()


_HUGE = 1 << 26  # bytes: no file of an exec is so large; other tests make some


def holders(places: tuple[Path, ...], secret: str, since: float) -> set[str]:
    """The files below these places that contain it, of those that were written since then."""
    found = set()
    for path in (Path(top, name) for place in places for top, _, names in os.walk(place) for name in names):
        with suppress(OSError):  # it has gone meanwhile
            known = path.stat()
            if known.st_mtime < since - 1 or not stat.S_ISREG(known.st_mode):
                continue
            if known.st_size < _HUGE and secret.encode() in path.read_bytes():
                found.add(path.name)
    return found


def test_signals_reach_the_command() -> None:
    """It may end as it likes, and is waited for."""
    traps = "trap 'echo INT' INT; trap 'echo TERM; exit 6' TERM"
    with subprocess.Popen(
        words("sh", "-c", f"{traps}; echo begun; while :; do sleep 0.05; done"), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"

        for sign in (signal.SIGINT, signal.SIGTERM):
            process.send_signal(sign)

            assert process.stdout.readline() == f"{sign.name.removeprefix('SIG')}\n"
    assert process.returncode == 6


def test_a_way_out_is_not_to_be_had_from_a_guest() -> None:
    """Where this kernel cannot shape a way out, it is said, with what to type, and the command has not begun."""
    answer = warm.chaoskit("exec", "--down", "delay 80ms", "--", "echo", "begun")

    assert (answer.returncode, answer.stdout) == (3, "")
    assert "chaoskit exec FILE" in answer.stderr


def test_on_a_terminal_the_start_is_shown_and_gone_before_the_command_writes() -> None:
    """A line while the guest starts, erased before the first byte of the command."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(words("echo", "begun"), stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs):
        os.close(theirs)
        seen = b""
        with suppress(OSError):  # the terminal is gone
            while chunk := os.read(ours, 1000):
                seen += chunk
    os.close(ours)

    before, _, after = seen.partition(b"begun")
    assert b"starting a guest ..." in before
    assert before.endswith(b"\r\x1b[K")
    assert after == b"\r\n"
