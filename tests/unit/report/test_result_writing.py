"""`result.json` is written atomically."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import Made

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import Result
from chaoskit.errors import RefusedError
from chaoskit.report.headline import headline
from chaoskit.report.result_json import write_result


@pytest.fixture
def result(tmp_path: Path) -> Result:
    """Of a small run."""
    return analyse(Made().phases().many(0, 5000, 100).write(tmp_path / "run"))


def test_the_file_is_the_result(result: Result, tmp_path: Path) -> None:
    """It is read back equal but for its path and its headline, and no other file is left in the directory."""
    path = write_result(result, tmp_path)

    assert Result.model_validate_json(path.read_bytes()) == result.model_copy(
        update={"run": "", "headline": headline(result)}
    )
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["result.json"]


def test_the_old_result_stays_until_the_new_one_is_complete(result: Result, tmp_path: Path) -> None:
    """Where the new one cannot be written the old one is unchanged, and the error says what to do."""
    (tmp_path / "result.json").write_text("the former one")
    (tmp_path / ".result.json.new").mkdir()

    with pytest.raises(RefusedError, match=f"chaoskit report {tmp_path}"):
        write_result(result, tmp_path)

    assert (tmp_path / "result.json").read_text() == "the former one"
