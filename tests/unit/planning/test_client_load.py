"""What a load needs of the client's machine, compared with what that allows, before the first request."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import pytest
from warm import chaoskit

from chaoskit.facts import ClientLimits
from chaoskit.kernel.client_limits import client_limits
from chaoskit.planning.client_load import ClientLoad, shortages
from chaoskit.spec.server import Server
from chaoskit.spec.workload import Workload

ROOMY = ClientLimits(files=10**6, ports=28_232, memory=16 * 10**9, time_wait=60)


def workload(**words: Any) -> Workload:
    """A workload with these keys."""
    return Workload.model_validate({name.replace("_", "-"): value for name, value in words.items()})


def told(work: Workload, limits: ClientLimits = ROOMY, server: Server | None = None) -> list[tuple[str, bool]]:
    """What is too little."""
    return list(shortages(ClientLoad.of(work, server), work, limits, in_lab=server is not None))


@pytest.mark.parametrize(
    "words",
    [{"request_rate": "2/s"}, {"max_concurrency": 100}, {"request_rate": "50/s", "output_tokens": 20}],
)
def test_an_ordinary_load_needs_no_word(words: dict[str, Any]) -> None:
    """Neither against an unknown server nor in a lab."""
    assert told(workload(**words)) == []
    assert told(workload(**words), server=Server()) == []


def test_open_files_are_certain_in_a_closed_loop() -> None:
    """Every open stream has a socket; in an open loop the number of streams is an estimate, and said so."""
    few = ClientLimits(files=1000, ports=28_232, memory=16 * 10**9, time_wait=60)
    closed, opened = workload(max_concurrency=2000), workload(request_rate="200/s")

    (closed_sentence, is_certain), *_ = told(closed, few)
    (open_sentence, _), *_ = told(opened, few)

    assert closed_sentence.startswith("2000 streams at a time need 2064 open files, and this machine allows 1000")
    assert is_certain
    assert ClientLoad.of(closed, None).is_certain
    assert open_sentence.startswith("about 1304 streams at a time need 1368 open files")  # 200/s x 6 s + 3 sqrt(1200)
    assert not ClientLoad.of(opened, None).is_certain


def test_ports_are_held_after_a_connection() -> None:
    """500 connections a second hold 30,000 ports in TIME_WAIT; kept connections, and ports used again, do not."""
    work = workload(request_rate="500/s", output_tokens=10)
    again = ClientLimits(files=10**6, ports=28_232, memory=16 * 10**9, time_wait=1)

    ((sentence, _),) = told(work)

    assert "500 connections a second, need about 30" in sentence
    assert "connections: kept" in sentence
    assert told(work, again) == []
    assert told(workload(request_rate="500/s", output_tokens=10, connections="kept")) == []


def test_memory_holds_the_prompts() -> None:
    """A thousand open streams with 20 MB each do not fit."""
    ((sentence, is_certain),) = told(workload(max_concurrency=1000, prompt_size="20MB"))

    assert sentence == (
        "1000 streams at a time with a prompt-size of 20MB need about 60.2GB of memory, and this machine has 16.0GB "
        "free; lower max-concurrency or prompt-size"
    )
    assert is_certain


def test_an_estimate_takes_the_mean_of_a_distribution() -> None:
    """Of numbers of tokens with the median 100 and p99 1000 that is 163: streams last longer than those of 100."""
    spread, fixed = (
        ClientLoad.of(workload(request_rate="10/s", output_tokens=tokens), None).streams
        for tokens in ({"median": "100", "p99": "1000"}, 163)
    )

    assert spread == fixed > ClientLoad.of(workload(request_rate="10/s", output_tokens=100), None).streams


def test_this_machine_has_limits() -> None:
    """Read from the kernel; towards loopback a port is free again sooner."""
    here, there = client_limits("127.0.0.1"), client_limits("192.0.2.1")

    assert here.files == resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert 0 < here.ports <= 65_536
    assert 0 < here.memory < 2**60
    assert here.time_wait <= there.time_wait


def test_a_probe_that_does_not_fit_is_refused_before_its_first_request(tmp_path: Path) -> None:
    """In one sentence, with exit code 3 and no directory; `validate` says it as a warning."""
    file = tmp_path / "x.yaml"
    file.write_text(
        "name: big\nquestion: Does it fit?\nstage: {target: 'http://127.0.0.1:9'}\n"
        "workload: {max-concurrency: 900}\ntimeline: [{baseline: 9s}]\n"
    )
    out = tmp_path / "run"
    commands = [
        ["probe", "http://127.0.0.1:9", "--max-concurrency", "900", "--requests", "1000", "--out", str(out)],
        ["run", str(file), "--out", str(out)],
        ["validate", str(file)],
    ]
    refused, run, valid = (
        chaoskit(*words, before="import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (500, 500))")
        for words in commands
    )

    sentence = "900 streams at a time need 964 open files, and this machine allows 500 (ulimit -Hn)"
    assert (refused.returncode, run.returncode, valid.returncode) == (3, 3, 0)
    assert refused.stderr.startswith(f"chaoskit: {sentence}")
    assert run.stderr.startswith(f"chaoskit: {sentence}")
    assert f"warning: {sentence}" in valid.stdout
    assert not out.exists()


def test_the_busiest_time_counts() -> None:
    """A surge, a day's peak, a trace's busiest second: what is open then."""
    plain, surged = (
        ClientLoad.of(workload(request_rate="10/s"), None, surges=surges) for surges in ((), ((10**10, 5.0),))
    )
    day = ClientLoad.of(workload(request_rate="10/s", diurnal={"peak-to-trough": "4x"}), None)

    assert surged.connections == 5 * plain.connections == 50
    assert surged.streams > 4 * plain.streams
    assert day.connections == pytest.approx(16)


def test_users_who_ask_again_are_load() -> None:
    """All of them may wait, as long as they have patience, and every attempt needs a connection."""
    retry = {"share": "50%", "patience": "10s", "times": 3}

    load = ClientLoad.of(workload(request_rate="10/s", users={"retry": retry}), None)

    assert load.streams > 10 * 20
    assert load.connections == 25
