"""Damaged run directories: each gives a result, or one sentence that names the file."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from damage import WAYS, damage, mend
from random_runs import random_run
from warm import chaoskit

from chaoskit.analysis import matrix
from chaoskit.analysis.analyse import analyse
from chaoskit.errors import SpecError
from chaoskit.report.result_json import as_json

SEEDS = 240
PATIENCE = 30  # seconds until what waits is a failure


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Some good runs, one of a probe without a plan included."""
    runs = []
    for seed in range(8):
        made = random_run(seed)
        run = made.write(tmp_path_factory.mktemp("good") / "run")
        (run / "machine.json").write_text('{"clock": "real", "kernel": "6.12"}')
        if seed == 5:
            for name in ("plan.json", "phases.jsonl", "machine.json", "counters.jsonl"):
                (run / name).unlink()
        runs.append(run)
    return runs


@pytest.fixture(autouse=True)
def _in_time() -> Iterator[None]:
    """Nothing waits for the other end of a FIFO."""
    signal.alarm(PATIENCE * 10)
    yield
    signal.alarm(0)


def result_or_error(run: Path) -> str:
    """The result as JSON, or the error's sentence."""
    try:
        return as_json(analyse(run))
    except SpecError as error:
        return str(error)


def is_about(told: str, run: Path) -> bool:
    """Whether it is a sentence with a file of the run, and a line where it is about a record."""
    about = re.match(rf"{re.escape(str(run))}/([a-z_]+\.jsonl?)(:\d+)?: .+; ", told)
    return bool(about) or told.startswith(f"{run} is no run directory: ")


@pytest.mark.parametrize("part", range(8))
def test_any_damage_gives_a_result_or_an_error(part: int, good: list[Path], tmp_path: Path) -> None:
    """Every drawn damage gives a result, or a SpecError with the file's name."""
    answers = set()
    for seed in range(part * SEEDS // 8, (part + 1) * SEEDS // 8):
        run = tmp_path / "run"
        shutil.copytree(good[seed % len(good)], run)
        done = damage(run, seed)

        told = result_or_error(run)

        assert told.startswith("{") or is_about(told, run), (seed, done, told)
        answers.add(told.startswith("{"))
        mend(run)
        shutil.rmtree(run)
    assert answers == {True, False}


@pytest.mark.parametrize("file", ["plan.json", "requests.jsonl", "tokens.jsonl", "keepalives.jsonl", "tcp_info.jsonl"])
@pytest.mark.parametrize("sort", ["directory", "FIFO", "device", "symbolic link"])
def test_a_special_file_is_named(file: str, sort: str, good: list[Path], tmp_path: Path) -> None:
    """What replaces a file is named, and never waited for; a link to a file is accepted."""
    run = tmp_path / "run"
    shutil.copytree(good[0], run)
    whole = result_or_error(run)
    (run / file).rename(tmp_path / "kept")
    match sort:
        case "directory":
            (run / file).mkdir()
        case "FIFO":
            os.mkfifo(run / file)
        case "device":
            (run / file).symlink_to("/dev/zero")
        case _:
            (run / file).symlink_to("nowhere")

    with pytest.raises(SpecError, match=rf"{file}: a {sort}"):
        analyse(run)

    (run / file).rmdir() if sort == "directory" else (run / file).unlink()
    (run / file).symlink_to(tmp_path / "kept")
    assert result_or_error(run) == whole


@pytest.mark.parametrize(
    ("file", "number", "text", "says"),
    [
        ("requests.jsonl", 2, None, "stream .* appears a second time"),
        ("requests.jsonl", 3, '{"stream": 1}', "a Request without scheduled"),
        ("requests.jsonl", 1, "[" * 100_000, "nested too deeply"),
        ("requests.jsonl", 1, "\udcff", "byte 0 is not UTF-8"),
        ("requests.jsonl", 1, '"' + "x" * (2 << 20) + '"', "a line of more than 1 MiB"),
        ("tokens.jsonl", 4, "[1,2,3,4,4,5,0,-1,null,null]", "value 8 is -1"),
        ("tokens.jsonl", 4, "[1,2,3,4,4,5,3,1,null,null]", "value 7 is 3"),
        ("tokens.jsonl", 4, "[1,2,3,4,4,5,0,1,null]", r"instead of \[stream, number"),
        ("tokens.jsonl", 4, "[1,2,NaN,4,4,5,0,1,null,null]", "NaN is not a number"),
        ("tokens.jsonl", 4, f"[1,2,{2**60},4,4,5,0,1,2,3]", "value 3 is"),
        ("keepalives.jsonl", 2, "[1,2,3]", r"instead of whole numbers \[stream"),
        ("vitals.jsonl", 2, '{"at": Infinity}', "Infinity is not a number"),
        ("vitals.jsonl", 2, '{"at": "now"}', 'at is "now", expected a whole number'),
        (
            "phases.jsonl",
            1,
            '{"name":"z","round":0,"faults":[],"begin":1,"ready":1,"until":2}',
            "no phase of plan.json",
        ),
        ("counters.jsonl", 1, "", "not JSON"),
    ],
)
def test_an_invalid_record_is_named_by_its_line(
    file: str, number: int, text: str | None, says: str, good: list[Path], tmp_path: Path
) -> None:
    """An invalid record, or one that contradicts the others: file, line, and what is wrong. None: a repeated line."""
    run = tmp_path / "run"
    shutil.copytree(good[0], run)
    lines = (run / file).read_text().splitlines()
    lines.insert(number - 1, lines[0] if text is None else text)
    (run / file).write_text("".join(f"{each}\n" for each in lines), errors="surrogateescape")

    with pytest.raises(SpecError, match=rf"{file}:{number}: .*{says}"):
        analyse(run)


def test_unordered_phases_are_refused(good: list[Path], tmp_path: Path) -> None:
    """A phase that begins before the one above it is an error."""
    run = tmp_path / "run"
    shutil.copytree(good[0], run)
    lines = (run / "phases.jsonl").read_text().splitlines(keepends=True)
    (run / "phases.jsonl").write_text("".join(reversed(lines)))

    with pytest.raises(SpecError, match=r"phases\.jsonl:2: begins before"):
        analyse(run)


@pytest.mark.parametrize("version", [1, 3, 99])
def test_another_schema_is_refused_with_what_to_do(version: int, good: list[Path], tmp_path: Path) -> None:
    """A plan of a later chaoskit asks for an update, one of an earlier version for another run."""
    run = tmp_path / "run"
    shutil.copytree(good[0], run)
    text = (run / "plan.json").read_text()
    (run / "plan.json").write_text(text.replace('"schema_version":2', f'"schema_version":{version}'))

    advice = "update chaoskit" if version > 2 else "repeat the run"
    with pytest.raises(SpecError, match=rf"plan\.json: schema version {version}, this chaoskit reads 2; {advice}"):
        analyse(run)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"clock": 1, "kernel": []}', "[" * 100_000])
def test_an_unreadable_machine_file_is_a_warning(text: str, good: list[Path], tmp_path: Path) -> None:
    """No metric depends on it: the result has a warning that clock and kernel are unknown."""
    run = tmp_path / "run"
    shutil.copytree(good[0], run)
    (run / "machine.json").write_text(text)

    found = analyse(run)

    assert (found.clock, found.kernel) == ("", "")
    assert ("clock and kernel are unknown" in "".join(found.warnings)) == (not text.startswith('{"'))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"how": "well"}', '{"how": []}', '{"how": "finished", "detail": 1}'])
def test_an_unreadable_outcome_counts_as_killed(text: str, good: list[Path], tmp_path: Path) -> None:
    """The rest of the run is still analysed."""
    run = tmp_path / "run"
    shutil.copytree(good[0], run)
    (run / "outcome.json").write_text(text)

    assert analyse(run).outcome.detail == "killed: outcome.json cannot be read"


@pytest.mark.parametrize("name", ["plan.json", "tokens.jsonl", "requests.jsonl", ""])
def test_a_file_without_read_permission_is_named(name: str, good: list[Path], tmp_path: Path) -> None:
    """A file, or the whole directory, of another user."""
    run = Path("/tmp", f"chaoskit-{os.getpid()}")
    shutil.copytree(good[0], run)
    (run / name).chmod(0)
    rights = os.geteuid()
    os.seteuid(rights or 65534)  # root may read everything
    try:
        with pytest.raises(SpecError, match=rf"{run}.*Permission denied"):
            analyse(run)
    finally:
        os.seteuid(rights)
        (run / name).chmod(0o700)
        shutil.rmtree(run)


def test_other_paths_are_not_run_directories(tmp_path: Path) -> None:
    """A missing path, a file, a device, an empty directory, a link to itself."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    for path in (tmp_path / "none", tmp_path / "file", Path("/dev/null"), tmp_path / "empty", tmp_path / "loop"):
        with pytest.raises(SpecError, match=rf"{path} is no run directory: "):
            matrix.load_matrix(path) if matrix.is_matrix_run(path) else analyse(path)


def test_a_damaged_variant_leaves_the_others(tmp_path: Path, good: list[Path]) -> None:
    """Any damage to one variant of a matrix leaves the others; damage to the matrix's own file is one sentence."""
    text = (
        "name: m\nquestion: q?\nstage: {lab: edge}\nworkload: {request-rate: 1/s, output-tokens: 5}\n"
        "timeline: [{baseline: 1s}]\nmatrix: {workload.prompt-size: [200B, 1kB]}\n"
    )
    (tmp_path / "experiment.yaml").write_text(text)
    for name in ("prompt-size=200B", "prompt-size=1kB"):
        shutil.copytree(good[0], tmp_path / name)
    (tmp_path / "prompt-size=1kB" / "plan.json").unlink()
    os.mkfifo(tmp_path / "prompt-size=1kB" / "plan.json")

    rows = matrix.load_matrix(tmp_path).variants

    assert rows[0].result is not None
    assert "a FIFO instead of a file" in rows[1].error
    for damaged in (b"\xff", b"[" * 100_000, b"matrix: {", b"", b"a: &x [*x]"):
        (tmp_path / "experiment.yaml").write_bytes(damaged)
        with pytest.raises(SpecError, match=r"experiment\.yaml"):
            matrix.load_matrix(tmp_path)


@pytest.mark.parametrize("way", sorted({way.__name__ for way in WAYS if way.__name__ in ("_raw", "_no_file", "_flip")}))
def test_the_command_line_prints_one_line(way: str, good: list[Path], tmp_path: Path) -> None:
    """`chaoskit report`: exit code 2 and a sentence, or the run's own exit code; never a traceback."""
    for seed in range(3):
        run = tmp_path / f"{seed}"
        shutil.copytree(good[0], run)
        next(each for each in WAYS if each.__name__ == way)(run / "requests.jsonl", random.Random(seed))

        told = chaoskit("report", str(run))

        assert "Traceback" not in told.stderr
        if told.returncode == 2:
            assert told.stderr.count("\n") == 1
            assert "requests.jsonl" in told.stderr
        else:
            assert told.returncode == analyse(run).exit_code
