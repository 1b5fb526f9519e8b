"""`probe --processes` asks what one process asks, records it in the same files, and leaves nothing, however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from asked_endpoint import HEAD, Asked, endpoint, probe, reply, stream

from chaoskit.records.jsonl import read
from chaoskit.records.model import Request, SocketRead, TcpInfo, Vitals

FILES = {"outcome.json", "probe.json", "provenance.json"}
RECORDS = {"keepalives.jsonl", "requests.jsonl", "tcp_info.jsonl", "tokens.jsonl", "vitals.jsonl"}
WITHIN = 20  # s
DONE = (0, 5)  # 5: on a busy machine the client may be too slow to decide anything


def answer(asked: Asked) -> bytes:
    """A stream; and a list of one model."""
    return stream() if asked.method == "POST" else reply(200, {"data": [{"id": "only"}]})


def hang(asked: Asked) -> bytes:
    """A response that never ends."""
    first = b'data: {"choices":[{"delta":{"content":"Hello"}}]}\n\n'
    return HEAD + f"{len(first):x}\r\n".encode() + first + b"\r\n" if asked.method == "POST" else reply(404, {})


def asked_of(url: str, processes: int, out: Path, *options: str) -> list[Request]:
    """The requests in the records of a probe, in the order of their numbers."""
    words = ("--processes", str(processes), "--requests", "9", "--seed", "5", *options, "--out", str(out))
    done = probe(url, *words)
    assert done.returncode in DONE, done.stderr
    return sorted(read(out, Request), key=lambda request: request.stream)


def offsets(requests: list[Request]) -> list[int]:
    """When they were scheduled, from the first one on."""
    return [request.scheduled - requests[0].scheduled for request in requests]


def test_three_processes_ask_what_one_asks(tmp_path: Path) -> None:
    """The same arrivals, numbers, prompts and warm-up requests; connections by no number twice; whole files."""
    with endpoint(answer) as server:
        one = asked_of(server.url, 1, tmp_path / "1", "--request-rate", "50/s", "--warm-up", "4")
        before = len(server.asked)
        several = asked_of(server.url, 3, tmp_path / "3", "--request-rate", "50/s", "--warm-up", "4")
        lists = [each.path for each in server.asked[before:] if each.method == "GET"]
        bodies = [
            {each.headers["x-chaoskit-stream"]: each.body for each in found if each.method == "POST"}
            for found in (server.asked[:before], server.asked[before:])
        ]

    assert offsets(several) == offsets(one)
    assert [request.stream for request in several] == list(range(13))
    assert [request.warmup for request in several] == [True] * 4 + [False] * 9
    assert bodies[0] == bodies[1]
    assert lists == ["/v1/models"]
    assert len({request.connection for request in several}) == 13
    assert {path.name for path in (tmp_path / "3").iterdir()} == FILES | RECORDS
    assert {read.stream for read in read(tmp_path / "3", SocketRead)} == set(range(13))
    assert {line.process for line in read(tmp_path / "3", Vitals)} == {0, 1, 2}
    assert json.loads((tmp_path / "3" / "probe.json").read_text())["processes"] == 3
    for name in ("probe.json", "vitals.jsonl"):
        assert "process" not in (tmp_path / "1" / name).read_text()


def test_a_closed_loop_and_its_conversations_are_divided(tmp_path: Path) -> None:
    """Three streams at a time, one in each process; the turns of a conversation on one connection."""
    with endpoint(answer) as server:
        asked_of(server.url, 3, tmp_path / "run", "--max-concurrency", "3", "--turns", "3")
        turns: dict[int, list[int]] = {}
        for each in server.posts:
            turns.setdefault(each.connection, []).append(len(each.body["messages"]))

    assert sorted(turns.values()) == [[1, 3, 5]] * 3


def test_the_first_failures_of_all_processes_are_one_sentence(tmp_path: Path) -> None:
    """Five requests that fail alike, counted over all; two of three processes had no five of their own."""
    with endpoint(lambda asked: reply(401, {"error": {"message": "no such key"}})) as server:
        words = ("--model", "m", "--processes", "2", "--requests", "8", "--request-rate", "20/s")
        done = probe(server.url, *words, "--out", str(tmp_path / "run"))

    assert done.returncode == 3, done.stdout
    assert done.stderr.count("no such key") == 1
    assert "the first 5 requests to" in done.stderr
    assert RECORDS - {path.name for path in (tmp_path / "run").iterdir()} == set()


def test_fewer_than_five_failures_are_counted_over_all_processes() -> None:
    """One good answer in one of the processes is none of "all failed"."""

    def one_of_three(asked: Asked) -> bytes:
        return stream() if asked.headers.get("x-chaoskit-stream") == "1" else reply(401, {})

    words = ("--model", "m", "--processes", "3", "--requests", "3", "--request-rate", "100/s")
    with endpoint(one_of_three) as server:
        assert probe(server.url, *words).returncode in DONE
    with endpoint(lambda asked: reply(401, {})) as server:
        assert "all 3 requests to" in probe(server.url, *words).stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--processes", "0"), "--processes"),
        (("--processes", "two"), "--processes"),
        (("--processes", "3", "--max-concurrency", "2"), "more than the 2 streams at a time"),
        (("--processes", "3"), "more than the 1 stream at a time"),
        (("--processes", "9", "--request-rate", "9/s", "--requests", "4"), "more than the 4 requests"),
    ],
)
def test_bad_values(options: tuple[str, ...], sentence: str) -> None:
    """Each gets a sentence, before anything is asked."""
    with endpoint(answer) as server:
        done = probe(server.url, *options)

    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert not server.asked


def test_more_processes_than_processors_are_a_warning() -> None:
    """They are started all the same."""
    many = str(len(os.sched_getaffinity(0)) + 1)
    with endpoint(answer) as server:
        done = probe(server.url, "--processes", many, "--request-rate", "90/s", "--requests", many)

    assert done.returncode in DONE, done.stderr
    assert f"warning: --processes {many}: this machine has " in done.stderr
    assert len(server.posts) == int(many)


def children(pid: int) -> list[int]:
    """The processes of a probe."""
    with suppress(OSError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def exists(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def running(url: str, out: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A probe in three processes, each with an open stream; afterwards none of them is left."""
    words = ("probe", url, "--processes", "3", "--request-rate", "100/s", "--requests", "6", *options)
    command = [sys.executable, "-m", "chaoskit", *words, "--out", str(out)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as process:
        until = time.monotonic() + WITHIN
        try:
            while not all((out / f"process-{number}" / "vitals.jsonl").exists() for number in range(3)):
                assert process.poll() is None, process.stderr.read() if process.stderr else ""
                assert time.monotonic() < until
                time.sleep(0.01)
            time.sleep(1)  # until the first flush
            found = children(process.pid)
            assert len(found) == 3
            yield process, found
            process.wait(WITHIN)
            while any(map(exists, found)):
                assert time.monotonic() < until + WITHIN
                time.sleep(0.01)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("sign", "how"), [(signal.SIGKILL, "killed by SIGKILL"), (signal.SIGTERM, "stopped by SIGTERM")]
)
def test_a_process_that_is_killed_makes_the_run_undecided(sign: signal.Signals, how: str, tmp_path: Path) -> None:
    """Which one is said; what the others had is in the files."""
    out = tmp_path / "run"
    with endpoint(hang) as server, running(server.url, out, "--objective", "ttft_p50 < 5s") as (process, found):
        os.kill(found[1], sign)
        told, errors = process.communicate(timeout=WITHIN)

    assert process.returncode == 5, (told, errors)
    assert f"process 2 of 3 was {how}, and the others were stopped" in " ".join(told.split())
    assert {sample.stream % 3 for sample in read(out, TcpInfo)} == {0, 1, 2}
    assert {request.stream % 3 for request in read(out, Request)} >= {0, 2}
    assert {path.name for path in out.iterdir()} == FILES | RECORDS


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_probe_keeps_all_records(sign: signal.Signals, code: int, tmp_path: Path) -> None:
    """Ctrl-C reaches all processes, as from a terminal; every stream is cancelled, and recorded."""
    out = tmp_path / "run"
    with endpoint(hang) as server, running(server.url, out) as (process, _):
        if sign is signal.SIGINT:
            os.killpg(process.pid, sign)
        else:
            process.send_signal(sign)
        _, errors = process.communicate(timeout=WITHIN)

    assert process.returncode == code, errors
    assert "Traceback" not in errors
    assert sorted(request.completion for request in read(out, Request)) == ["cancelled"] * 6
    assert {path.name for path in out.iterdir()} == FILES | RECORDS


def test_the_time_limit_ends_all_processes(tmp_path: Path) -> None:
    """As it ends one: undecided, with the reason."""
    out = tmp_path / "run"
    with endpoint(hang) as server:
        words = ("--model", "m", "--processes", "2", "--request-rate", "20/s", "--requests", "4", "--max-time", "1s")
        done = probe(server.url, *words, "--objective", "ttft_p50 < 5s", "--out", str(out))

    assert done.returncode == 5, done.stderr
    assert "from 2 processes" in done.stdout
    assert "stopped after 1s, before all requests had ended" in " ".join(done.stdout.split())
    assert len(read(out, Request)) == 4


def test_no_process_outlives_a_probe_that_is_killed(tmp_path: Path) -> None:
    """SIGKILL cannot be handled: the kernel ends them."""
    with endpoint(hang) as server, running(server.url, tmp_path / "run") as (process, _):
        process.kill()


def test_nothing_is_left_of_a_probe_without_out(tmp_path: Path) -> None:
    """Its folder is a temporary one."""
    with endpoint(answer) as server:
        words = ("--processes", "2", "--requests", "4", "--max-concurrency", "2")
        done = probe(server.url, *words, env={"TMPDIR": str(tmp_path)})

    assert done.returncode in DONE, done.stderr
    assert not list(tmp_path.iterdir())


WATCHED = """if True:
    import os, sys
    from chaoskit.__main__ import main
    os.register_at_fork(before=lambda: print("threads:", len(os.listdir("/proc/self/task")), file=sys.stderr))
    sys.argv[0] = "chaoskit"
    main()
"""


def test_no_thread_exists_before_a_fork() -> None:
    """A lock that another thread holds would stay locked in the process for ever; a name was looked up before, and the
    list of models read."""
    with endpoint(answer) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        words = [
            sys.executable,
            "-c",
            WATCHED,
            "probe",
            url,
            "--processes",
            "3",
            "--requests",
            "6",
            "--max-concurrency",
            "3",
        ]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode in DONE, done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("threads:")] == ["threads: 1"] * 3


def test_three_processes_ask_the_workflows_that_one_asks(tmp_path: Path) -> None:
    """With turns of their own, from many clients: each conversation is the same, whoever asks it."""
    options = (
        *("--demand", "{chat: 60%, support: {share: 40%, turns: 2, model: big}}", "--request-rate", "50/s"),
        *("--carry", "{workflow: header x-workflow}", "--clients", "{count: 5, burstiness: 4}", "--warm-up", "3"),
    )
    with endpoint(answer) as server:
        one = asked_of(server.url, 1, tmp_path / "1", *options)
        several = asked_of(server.url, 3, tmp_path / "3", *options)
        posted = [each for each in server.asked if each.method == "POST"]
        asked = {(each.headers["x-workflow"], each.body["model"]) for each in posted}

    assert len(one) == len(several) == 12
    assert sum(each.warmup for each in one) == sum(each.warmup for each in several) == 3
    assert sorted(str(each.workflow) for each in one) == sorted(str(each.workflow) for each in several)
    assert {each.workflow for each in one} == {"chat", "support"}
    assert asked == {("chat", "only"), ("support", "big")}
