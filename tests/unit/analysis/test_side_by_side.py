"""The results of a matrix's variants, from one folder."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest
from made_runs import Made, plan

from chaoskit.analysis.matrix import MatrixResult, VariantResult, is_matrix_run, load_matrix, worst_exit_code
from chaoskit.errors import SpecError

FILE = """\
name: sizes
question: Which sizes?
stage: {lab: edge}
workload: {request-rate: 10/s}
timeline: [{baseline: 10s}]
matrix: {workload.prompt-size: [200B, 4kB, 64kB]}
"""
NAMES = ("prompt-size=200B", "prompt-size=4kB", "prompt-size=64kB")


def folder(tmp_path: Path, count: int = 3) -> Path:
    """A matrix of which so many variants were run."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "experiment.yaml").write_text(FILE)
    (run / "outcome.json").write_text(json.dumps({"how": "finished", "detail": ""}))
    for name in NAMES[:count]:
        Made(plan()).phases().many(0, 29_000, 500).write(run / name)
        (run / name / "experiment.yaml").write_text(FILE)
    return run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> MatrixResult:
    """The results of three variants, all of which finished."""
    return load_matrix(folder(tmp_path_factory.mktemp("whole")))


def with_status(row: VariantResult, how: str | None) -> VariantResult:
    """The same variant with this status; None: not run."""
    if how is None or row.result is None:
        return row.model_copy(update={"result": None, "is_not_run": True})
    went, found = ("finished", how) if how in ("none", "broken") else (how, "none")
    detail = "SIGTERM" if how == "interrupted" else ""
    outcome = row.result.outcome.model_copy(update={"status": went, "detail": detail, "verdict": found})
    return row.model_copy(update={"result": row.result.model_copy(update={"outcome": outcome})})


def test_every_variant_has_its_values_and_result(tmp_path: Path) -> None:
    """In the matrix's order; other files in the folder are ignored."""
    run = folder(tmp_path)
    (run / "prompt-size=1kB").mkdir()

    found = load_matrix(run)

    assert is_matrix_run(run)
    assert not is_matrix_run(run / NAMES[0])
    assert (found.name, found.question, found.axes) == ("sizes", "Which sizes?", ("prompt-size",))
    assert [(row.name, row.values) for row in found.variants] == list(
        zip(NAMES, [("200B",), ("4kB",), ("64kB",)], strict=True)
    )
    assert all(row.result and row.result.outcome.status == "finished" for row in found.variants)
    assert MatrixResult.model_validate_json(found.model_dump_json()) == found.model_copy(
        update={
            "run": "",
            "variants": tuple(
                row.model_copy(update={"result": row.result and row.result.model_copy(update={"run": ""})})
                for row in found.variants
            ),
        }
    )


def test_a_missing_or_damaged_variant_is_listed(tmp_path: Path) -> None:
    """A variant that was not run says so, one whose records are invalid says why, and the rest is there."""
    run = folder(tmp_path, 2)
    (run / NAMES[0] / "plan.json").write_text('{"schema_version": 99}')

    damaged, whole, new = load_matrix(run).variants

    assert damaged.result is None
    assert "schema version 99, this chaoskit reads 2" in damaged.error
    assert whole.result is not None
    assert (new.result, new.is_not_run) == (None, True)


@pytest.mark.parametrize(
    ("hows", "together", "code"),
    [
        (("none", "none", "none"), ("finished", ""), 0),
        (("none", "broken", "none"), ("finished", ""), 1),
        (("none", "none", None), ("finished", ""), 5),
        (("broken", "none", None), ("finished", ""), 1),
        (("broken", "refused", "none"), ("finished", ""), 3),
        (("broken", "refused", "interrupted"), ("finished", ""), 143),
        (("crashed", "interrupted", "broken"), ("finished", ""), 70),
        (("crashed", "dirty", "broken"), ("finished", ""), 4),
        (("broken", None, None), ("interrupted", "SIGINT"), 130),
        (("broken", None, None), ("interrupted", "SIGTERM"), 143),
        (("dirty", None, None), ("dirty", "prompt-size=200B was not put back"), 4),
        (("none", "interrupted", None), ("dirty", ""), 4),
    ],
)
def test_the_exit_code_is_that_of_the_worst(
    whole: MatrixResult, hows: tuple[str | None, ...], together: tuple[str, str], code: int
) -> None:
    """Not restored, crashed, interrupted, refused, broken, undecided, in this order; a variant that was not run is
    undecided."""
    rows = tuple(with_status(row, how) for row, how in zip(whole.variants, hows, strict=True))

    found = whole.model_copy(update={"variants": rows, "status": together[0], "detail": together[1]})

    assert found.exit_code == code


def test_of_two_exit_codes_the_worse_one_counts() -> None:
    """In any order, and no code is 0."""
    order = (4, 70, 143, 130, 3, 1, 5, 0)

    for one, other in product(order, repeat=2):
        assert worst_exit_code([one, other]) == order[min(order.index(one), order.index(other))]
    assert worst_exit_code([]) == 0


def test_another_folder_is_refused(tmp_path: Path) -> None:
    """An experiment without a matrix and without a plan is no run."""
    (tmp_path / "experiment.yaml").write_text(FILE.partition("matrix")[0])

    with pytest.raises(SpecError, match=r"is no run directory: it has no plan\.json"):
        load_matrix(tmp_path)
