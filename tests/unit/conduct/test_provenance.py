"""What a run was made with is in its directory and in its result."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from datetime import datetime, timedelta
from importlib.metadata import requires
from pathlib import Path

import pytest
from made_runs import Made

from chaoskit import __version__
from chaoskit.analysis.analyse import analyse
from chaoskit.conduct import provenance
from chaoskit.report.result_json import as_json


def test_it_tells_file_versions_and_date(tmp_path: Path) -> None:
    """The file's digest and commit, when it began, and the version of every library that is imported."""
    file = tmp_path / "gate.yaml"
    file.write_text("name: gate\n")
    who = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True)

    found = json.loads(provenance.collect(str(file), "name: gate\n"))

    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert (found["commit"], found["is_modified"]) == (head.stdout.strip(), False)
    assert found["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert json.loads(provenance.collect(str(file), "name: gates\n"))["is_modified"] is True
    started = datetime.fromisoformat(found["started"])
    assert abs(datetime.now().astimezone() - started) < timedelta(minutes=1)
    assert found["chaoskit"] == __version__


def test_every_library_of_the_program_is_named() -> None:
    """Each requirement that is not only of the tests has its version."""
    wanted = {re.split(r"[\[<>=!~; ]", each)[0] for each in requires("chaoskit") or () if "extra ==" not in each}

    assert wanted <= set(provenance.LIBRARIES)
    assert wanted <= set(json.loads(provenance.collect())["libraries"])


@pytest.mark.parametrize("clock", ["real", "virtual"])
def test_a_result_has_it(clock: str, tmp_path: Path) -> None:
    """In virtual time without the date, so that the same run has the same result."""
    run = Made().phases().many(0, 30_000, 500).write(tmp_path / "run")
    (run / "provenance.json").write_text(provenance.collect("made.yaml", "x"))
    (run / "machine.json").write_text(json.dumps({"clock": clock}))

    found = json.loads(as_json(analyse(run)))["provenance"]

    assert (found["started"] is None) == (clock == "virtual")
    assert found["libraries"]["httptools"]
    assert found["file"] == "made.yaml"
