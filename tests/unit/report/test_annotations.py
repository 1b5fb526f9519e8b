"""Annotations point to the line of the objective, and are as few as code hosts show."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from made_runs import Made, plan

from chaoskit.conduct.provenance import collect
from chaoskit.report.formats import write
from chaoskit.report.formats.source import Source, load
from chaoskit.report.objective_lines import objective_lines

FILE = """\
name: made-by-hand
objectives:
  - ttft_p50 < 1ms   during wifi
  - "ttft_p99 < 1s"
workloads:
  - name: other
    objectives: [itl_p50 < 1s]
"""
COMMAND = re.compile(r"::(\w+) file=([^,:]*),line=(\d+),title=([^,:]*)::(.*)")


def source(folder: Path, *objectives: str, how: str = "finished", detail: str = "") -> Source:
    """A run of a file."""
    made = Made(plan(objectives), outcome={"how": how, "detail": detail}).phases().many(0, 30_000, 100)
    run = made.write(folder / "run")
    (run / "experiment.yaml").write_text(FILE)
    return load(run)


def commands(*sources: Source) -> list[tuple[str, ...]]:
    """What GitHub reads of each line: command, file, line, title, message."""
    file = io.BytesIO()
    write("github", sources, file)
    found = [COMMAND.fullmatch(line) for line in file.getvalue().decode().splitlines()]
    return [tuple(map(unescaped, each.groups())) for each in found if each] if all(found) else []


def unescaped(text: str) -> str:
    """As the runner does it."""
    for escape, sign in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(escape, sign)
    return text


def quality(*sources: Source) -> list[dict[str, object]]:
    """The list that GitLab reads."""
    file = io.BytesIO()
    write("gitlab", sources, file)
    found: list[dict[str, object]] = json.loads(file.getvalue())
    return found


def test_an_objective_has_its_line() -> None:
    """Whatever its quotes and spaces; nothing is found in a text that is no experiment."""
    assert objective_lines(FILE) == {"ttft_p50 < 1ms during wifi": 3, "ttft_p99 < 1s": 4, "itl_p50 < 1s": 7}
    assert objective_lines("objectives: [") == objective_lines(None) == {}


def test_a_run_with_values_set_points_to_the_file_that_was_given(tmp_path: Path) -> None:
    """That is in the pull request; the text in the run directory is not. And the command repeats what was set."""
    given = tmp_path / "given.yaml"
    given.write_text(FILE)
    run = source(tmp_path, "ttft_p50 < 1ms during wifi").path
    text = "# --set seed=7 --set 'question=Is it so?'\nseed: '7'\nname: made-by-hand\nobjectives:\n- ttft_p50 < 1ms\n"
    (run / "experiment.yaml").write_text(text)
    (run / "provenance.json").write_text(collect(str(given), text))

    found = load(run)
    given_line = commands(found)[0][1:3]
    given.unlink()

    assert given_line == (str(given), "3")
    assert found.command == f"chaoskit run {given} --set seed=7 --set 'question=Is it so?'"
    assert commands(load(run))[0][1:3] == (str(given), "1")


def test_what_broke_stands_at_its_line(tmp_path: Path) -> None:
    """Broken is an error, undecided a warning."""
    found = source(tmp_path, "ttft_p50 < 1ms during wifi", "ttft_p99 < 1s")

    (error, warning) = commands(found)

    assert error[:4] == ("error", f"{found.path}/experiment.yaml", "3", "BROKEN: made-by-hand")
    assert error[4].startswith("ttft_p50 < 1ms during wifi is broken: 100 ms")
    assert warning[:4] == ("warning", f"{found.path}/experiment.yaml", "4", "UNDECIDED: made-by-hand")
    assert [(each["severity"], each["location"]) for each in quality(found)] == [
        ("critical", {"path": f"{found.path}/experiment.yaml", "lines": {"begin": 3}}),
        ("minor", {"path": f"{found.path}/experiment.yaml", "lines": {"begin": 4}}),
    ]


def test_a_run_that_met_all(tmp_path: Path) -> None:
    """A notice; GitLab has nothing to show."""
    found = source(tmp_path, "ttft_p50 < 1s")

    assert [each[0] for each in commands(found)] == ["notice"]
    assert quality(found) == []


@pytest.mark.parametrize("how", ["refused", "crashed", "dirty", "interrupted"])
def test_a_run_that_did_not_finish(how: str, tmp_path: Path) -> None:
    """It is an error, with how it ended."""
    error, *_ = commands(source(tmp_path, how=how, detail="no disk"))

    assert (error[0], error[3]) == ("error", f"{how.upper()}: made-by-hand")
    assert "no disk" in error[4]


def test_there_are_ten_of_each_at_most(tmp_path: Path) -> None:
    """The last one says how many more there are."""
    broken = source(tmp_path, *(f"ttft_p50 < {number}ms" for number in range(1, 16)))

    found = commands(broken)

    assert len(found) == 10
    assert found[-1][4] == "6 more errors: see the report"
    assert len(quality(broken)) == 15
    assert len({each["fingerprint"] for each in quality(broken)}) == 15


def test_a_hostile_run(hostile: Source) -> None:
    """Every line is one command of three, and there are as many as of any run."""
    found = commands(hostile)

    assert [each[0] for each in found] == ["warning"] * len(found)
    assert 0 < len(found) <= 10
    assert len(quality(hostile)) == len(found)
