"""Commit, branch and changes: as git tells them, without obeying what others configured."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaoskit.history.checkout import Revision, revision

NOWHERE: dict[str, str] = {}


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory whose parents nobody else can change, outside of any checkout."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def git(folder: Path, *words: str) -> str:
    """What git says, as a user without a configuration."""
    own = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b"}
    own |= {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    return subprocess.run(
        ["git", "-C", str(folder), *words], check=True, capture_output=True, text=True, env=os.environ | own
    ).stdout.strip()


@pytest.fixture
def repository(place: Path) -> Path:
    """A repository with a commit on main."""
    top = place / "top"
    (top / "experiments").mkdir(parents=True)
    git(top, "init", "-q", "-b", "main")
    (top / "experiments" / "a.yaml").write_text("name: a\n")
    git(top, "add", ".")
    git(top, "commit", "-qm", "first")
    return top


def test_as_git_tells_it(repository: Path) -> None:
    """Commit and branch, from a folder below the top."""
    assert revision(repository / "experiments", NOWHERE) == Revision(
        git(repository, "rev-parse", "HEAD"), "main", False
    )


@pytest.mark.parametrize("change", ["work tree", "index", "removed"])
def test_a_change_in_no_commit_is_dirty(repository: Path, change: str) -> None:
    """Staged or not."""
    path = repository / "experiments" / "a.yaml"
    if change == "removed":
        path.unlink()
    else:
        path.write_text("name: b\n")
    if change == "index":
        git(repository, "add", ".")

    assert revision(repository, NOWHERE).is_dirty is True


def test_what_git_does_not_track_is_no_change(repository: Path) -> None:
    """A run directory, for example."""
    (repository / "runs").mkdir()
    (repository / "runs" / "x").touch()

    assert revision(repository, NOWHERE).is_dirty is False


@pytest.mark.parametrize("name", ["feature/slow-start", "v1.2"])
def test_branches_have_slashes_and_dots(repository: Path, name: str) -> None:
    """In a linked worktree as well."""
    git(repository, "worktree", "add", "-q", "-b", name, str(repository.parent / "linked"))

    found = revision(repository.parent / "linked", NOWHERE)

    assert (found.branch, found.is_dirty) == (name, False)


def test_a_job_of_ci_is_at_a_commit_and_tells_its_branch(repository: Path) -> None:
    """A pull request's own branch; a person at a commit has none."""
    commit = git(repository, "rev-parse", "HEAD")
    git(repository, "checkout", "-q", commit)
    job = {"GITHUB_SHA": commit, "GITHUB_HEAD_REF": "fix-loss", "GITHUB_REF_NAME": "12/merge"}

    assert revision(repository, job).branch == "fix-loss"
    assert revision(repository, NOWHERE).branch is None


@pytest.mark.parametrize(
    "job",
    [
        {"GITHUB_SHA": "a" * 40, "GITHUB_HEAD_REF": "", "GITHUB_REF_NAME": "main"},
        {"CI_COMMIT_SHA": "a" * 40, "CI_COMMIT_REF_NAME": "main"},
    ],
)
def test_without_a_checkout_the_job_tells(place: Path, job: dict[str, str]) -> None:
    """GitHub and GitLab; whether there were changes is not known."""
    assert revision(place, job) == Revision("a" * 40, "main", None)


@pytest.mark.parametrize("odd", ["a" * 39, "--exec", "a" * 40 + "\n", "\x1b[31m"])
def test_a_variable_that_is_no_commit_is_none(place: Path, odd: str) -> None:
    """Somebody may have set it to anything."""
    assert revision(place, {"GITHUB_SHA": odd, "GITHUB_REF_NAME": odd}).commit is None


def test_a_repository_that_others_can_write_is_not_asked(repository: Path) -> None:
    """Its configuration names programs that git would run."""
    mark = repository.parent / "ran"
    git(repository, "config", "filter.x.clean", f"touch {mark}; cat")
    (repository / ".git" / "info" / "attributes").write_text("* filter=x\n")
    (repository / "experiments" / "a.yaml").write_text("name: b\n")
    (repository / ".git" / "config").chmod(0o666)

    found = revision(repository, NOWHERE)

    assert found.is_dirty is None
    assert found.branch == "main"
    assert not mark.exists()


def test_git_is_asked_about_this_repository_only(repository: Path, place: Path) -> None:
    """Variables that lead git elsewhere, as a hook has them, are not passed on."""
    os.environ["GIT_DIR"] = str(place / "other")
    try:
        assert revision(repository, NOWHERE).is_dirty is False
    finally:
        del os.environ["GIT_DIR"]
