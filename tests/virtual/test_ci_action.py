"""GitHub's action and GitLab's template, carried out in a folder: verdicts, outputs, summaries, artefacts, mistakes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from composite_action import Job, carry_out

from chaoskit.substrate import uml

TOP = Path(__file__).parents[2]
ACTION = TOP / ".github" / "actions" / "chaoskit"
PATH = f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin"
FILE = """\
name: {name}
question: Does a stream come?
stage: {{lab: edge}}
workload: {{request-rate: 10/s, output-tokens: 5}}
server: {{first-token: {{median: 20ms, p99: 30ms}}, token-interval: 5ms}}
timeline: [{{baseline: 3s}}]
objectives: ["{objective}"]
seed: 1
"""
OBJECTIVES = {
    "met": "interruption_rate < 50%",
    "broken": "ttft_p50 < 1ms during baseline",
    "undecided": "interruption_rate < 1%",
}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A repository with an experiment for each verdict."""
    folder = tmp_path / "workspace"
    (folder / "chaos").mkdir(parents=True)
    for name, objective in OBJECTIVES.items():
        (folder / "chaos" / f"{name}.yaml").write_text(FILE.format(name=name, objective=objective))
    return folder


def use(workspace: Path, **inputs: str) -> Job:
    """Use the action with the chaoskit and the kernel that are here."""
    given = {name.replace("_", "-"): value for name, value in inputs.items()}
    place = workspace.parent / "runner"
    place.mkdir()
    return carry_out(ACTION, {"version": "installed", **given}, place, workspace, PATH)


def test_a_broken_objective_fails_the_job(kernel: uml.GuestKernel, workspace: Path) -> None:
    """The exit code is chaoskit's, and reports, summary and artefact are there all the same."""
    job = use(workspace, experiments="chaos/broken.yaml", args="--clock virtual")

    assert (job.exit_code, job.outputs["verdict"], job.outputs["exit-code"]) == (1, "broken", "1"), job.log
    (run,) = Path(job.outputs["run-directory"]).iterdir()
    assert {"result.json", "report.html", "junit.xml", "report.md"} <= {path.name for path in run.iterdir()}
    assert (run / "report.md").read_text() in job.summary
    assert job.used["actions/upload-artifact"]["name"] == job.outputs["artifact"] == "chaoskit-chaos-broken"
    assert job.used["actions/upload-artifact"]["path"] == job.outputs["run-directory"]
    assert any(line.startswith("::error file=chaos/broken.yaml,line=7") for line in job.obeyed), job.obeyed


def test_the_worst_of_several_counts_where_it_is_asked_for(kernel: uml.GuestKernel, workspace: Path) -> None:
    """Lines, globs and several folders; undecided beside met is undecided, and fails only a job that wants it."""
    job = use(
        workspace, experiments="chaos/m*.yaml\n\n  chaos/undecided.yaml  ", args="--clock virtual", fail_on="broken"
    )

    assert (job.exit_code, job.outputs["verdict"], job.outputs["exit-code"]) == (0, "undecided", "5"), job.log
    assert sorted(path.name for path in Path(job.outputs["run-directory"]).iterdir()) == ["met", "undecided"]
    assert job.outputs["artifact"] == "chaoskit-chaos-met"


def test_a_suite_has_one_folder_and_one_verdict(kernel: uml.GuestKernel, workspace: Path) -> None:
    """A game-day whose experiment breaks as it is expected to is met, and its summary is in the job's."""
    (workspace / "gameday.yaml").write_text("name: nightly\nexperiments: [{file: chaos/broken.yaml, expect: broken}]\n")

    job = use(workspace, gameday="gameday.yaml", args="--clock virtual --quiet")

    assert (job.exit_code, job.outputs["verdict"], job.outputs["exit-code"]) == (0, "met", "0"), job.log
    assert (Path(job.outputs["run-directory"]) / "gameday" / "gameday.json").exists()
    assert "broken" in job.summary
    assert job.outputs["artifact"] == "chaoskit-chaos-gameday"
    assert not any(line.startswith("::error") for line in job.obeyed), job.obeyed


def test_a_suite_in_a_subfolder_has_reports_of_each_run_and_marks(kernel: uml.GuestKernel, workspace: Path) -> None:
    """What is not as expected is marked, by its path from the top of the repository; each run has its reports."""
    runs = "[chaos/broken.yaml, {file: chaos/met.yaml, expect: broken}]"
    (workspace / "gameday.yaml").write_text(f"name: nightly\nexperiments: {runs}\n")
    top = workspace.rename(workspace.parent / "sub")
    workspace.mkdir()
    top.rename(workspace / "sub")

    job = use(workspace, gameday="gameday.yaml", args="--clock virtual --quiet", working_directory="sub")

    assert (job.exit_code, job.outputs["verdict"]) == (1, "broken"), job.log
    folder = Path(job.outputs["run-directory"]) / "gameday"
    assert {"junit.xml", "report.md"} <= {path.name for path in folder.iterdir()}
    assert {"report.html", "junit.xml", "report.md"} <= {path.name for path in (folder / "broken").iterdir()}
    errors = [line for line in job.obeyed if line.startswith("::error ")]
    assert [line.partition(",title")[0] for line in errors] == [
        "::error file=sub/chaos/broken.yaml,line=7",
        "::error file=sub/chaos/met.yaml,line=1",
    ], job.log


def test_a_format_that_does_not_exist_fails_a_suite(workspace: Path) -> None:
    """It is said before anything runs."""
    (workspace / "gameday.yaml").write_text("name: nightly\nexperiments: [chaos/met.yaml]\n")

    job = use(workspace, gameday="gameday.yaml", kernel="none", reports="pdf")

    assert (job.exit_code, job.outputs["exit-code"]) == (2, "2"), job.log
    assert "'pdf' is no format of a report" in job.summary


@pytest.mark.parametrize(("fail_on", "code"), [("undecided", 0), ("not-run", 5)])
def test_a_run_that_was_not_made_fails_a_job_that_wants_it(workspace: Path, fail_on: str, code: int) -> None:
    """A suite whose budget has no time for a run ends with 5, as one that is undecided."""
    (workspace / "gameday.yaml").write_text("name: nightly\nbudget: 1s\nexperiments: [chaos/met.yaml]\n")

    job = use(workspace, gameday="gameday.yaml", kernel="none", args="--clock real --substrate here", fail_on=fail_on)

    assert (job.exit_code, job.outputs["exit-code"], job.outputs["verdict"]) == (code, "5", "undecided"), job.log
    assert "::group::chaoskit gameday gameday.yaml" in job.log


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({}, "give experiments, one file a line, or gameday"),
        ({"experiments": "chaos/met.yaml", "gameday": "g.yaml"}, "give experiments or gameday, not both"),
        ({"experiments": "nowhere/*.yaml"}, "experiments: nowhere/*.yaml: no such file"),
        ({"experiments": "chaos/met.yaml", "args": "--seed 'a"}, "args: --seed 'a: an open quote"),
        ({"experiments": "chaos/met.yaml chaos/broken.yaml"}, "no such file; write one file a line"),
        ({"experiments": "chaos/met.yaml\nsuite of all.yaml"}, "suite of all.yaml is a suite; give it by the input"),
        (
            {"experiments": "chaos/met.yaml", "fail_on": "borken"},
            "fail-on: borken: of broken, undecided, error and not",
        ),
        ({"gameday": "gameday.yaml"}, "gameday: gameday.yaml: no such file"),
    ],
)
def test_inputs_that_make_no_sense_are_said(workspace: Path, inputs: dict[str, str], sentence: str) -> None:
    """One sentence in log and summary, exit code 2, and nothing was run."""
    (workspace / "suite of all.yaml").write_text("name: nightly\nexperiments: [chaos/met.yaml]\n")

    job = use(workspace, **{"kernel": "none", "fail_on": "broken", **inputs})

    assert (job.exit_code, job.outputs["verdict"]) == (2, "error"), job.log
    assert sentence in job.log
    assert sentence in job.summary
    assert "::group::" not in job.log
    assert "xargs" not in job.log


def test_a_mistake_in_a_file_is_told_before_the_first_run(workspace: Path) -> None:
    """All files are validated first: 2, the line of the mistake in the summary, as text."""
    (workspace / "chaos" / "wrong.yaml").write_text(FILE.format(name="<script>", objective="ttft_p95 < soon"))

    job = use(workspace, experiments="chaos/*.yaml", kernel="none")

    assert (job.exit_code, job.outputs["exit-code"]) == (2, "2"), job.log
    assert "chaos/wrong.yaml:" in job.summary
    assert "<script>" not in job.summary
    assert list(Path(job.outputs["run-directory"]).iterdir()) == []


def test_nothing_in_a_repository_is_a_command(workspace: Path) -> None:
    """Names of files and inputs with quotes, substitutions and lines are data, for the shell and for the runner."""
    bad = "chaos/$(touch pwned) `touch pwned`;\n::error::pwned.yaml"
    (workspace / bad).write_text("name: [::error::pwned\n::set-output name=verdict::met")

    job = use(workspace, experiments="chaos/*pwned*", kernel="none", artifact="a\nverdict=met", args="'$(touch pwned)'")

    assert job.exit_code == 2, job.log
    assert job.outputs["verdict"] == "error"
    assert job.outputs["artifact"] == "a-verdict-met"
    assert not list(workspace.rglob("pwned"))
    assert [line.partition(" ")[0].strip(":") for line in job.obeyed if "group" not in line] == []


def test_a_kernel_is_kept_by_what_it_depends_on(kernel: uml.GuestKernel, workspace: Path) -> None:
    """The cache of the job gets key and folder of `chaoskit kernel cache`; without the input there is no cache."""
    job = use(workspace, experiments="none", kernel_cache="true")

    cached = job.used["actions/cache"]
    assert cached["key"].startswith("chaoskit-kernel-")
    assert kernel.path.is_relative_to(cached["path"])


def test_gitlabs_job_keeps_what_its_template_names(kernel: uml.GuestKernel, workspace: Path) -> None:
    """Where everybody may write, as a runner of GitLab checks out: exit code 5, which the template makes a warning, and
    the reports at the paths that GitLab is told."""
    _, told = yaml.safe_load_all((TOP / "docs" / "ci" / "gitlab.yml").read_text())
    (job,) = told.values()
    workspace.chmod(0o777)
    (workspace / "chaos").chmod(0o777)
    variables = {"CHAOS_EXPERIMENTS": "chaos/und*.yaml", "CHAOS_GAMEDAY": "", "CHAOS_OPTIONS": "--clock virtual"}
    assert variables.keys() < job["variables"].keys()

    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", "\n".join(job["script"])],
        cwd=workspace,
        env={"HOME": os.environ["HOME"], "PATH": PATH, **variables},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 5, done.stdout + done.stderr
    assert done.returncode in job["allow_failure"]["exit_codes"]
    reports = job["artifacts"]["reports"]
    assert {name: len(list(workspace.glob(path))) for name, path in reports.items()} == dict.fromkeys(reports, 1)
