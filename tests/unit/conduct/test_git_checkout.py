"""What is read of a git checkout is what git says, without running it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from chaoskit.conduct.git_checkout import checkout, is_modified


def git(folder: Path, *words: str) -> str:
    """What git prints there, whatever the machine's configuration."""
    who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
    alone = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", *who, *words], cwd=folder, env=alone, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(params=["sha1", "sha256"])
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A repository with a commit of several files."""
    top = tmp_path / "repo"
    (top / "experiments").mkdir(parents=True)
    git(top, "init", "-q", f"--object-format={request.param}")
    for name in ("a.yaml", "experiments/gate.yaml", "experiments/gate.yaml.old", "z/" + "long" * 60 + ".yaml"):
        (top / name).parent.mkdir(exist_ok=True)
        (top / name).write_text(f"name: {name}\n")
    git(top, "add", ".")
    git(top, "commit", "-q", "-m", "first")
    return top


@pytest.mark.parametrize("index", ["2", "3", "4"])
@pytest.mark.parametrize("is_packed", [False, True])
def test_commit_and_change_are_those_of_git(tree: Path, index: str, is_packed: bool) -> None:
    """The commit is HEAD's, loose or packed; a file is modified once it is changed, and never when it was added."""
    git(tree, "update-index", "--index-version", index)
    if is_packed:
        git(tree, "pack-refs", "--all")
        git(tree, "gc", "-q")
    file = tree / "experiments" / "gate.yaml"

    found = checkout(file.parent)

    assert found is not None
    assert found.commit == git(tree, "rev-parse", "HEAD")
    for path in git(tree, "ls-files").splitlines():
        assert is_modified(found, tree / path, (tree / path).read_bytes()) is False
    assert is_modified(found, file, b"changed\n") is True
    assert is_modified(found, tree / "new.yaml", b"") is True
    assert is_modified(found, tree.parent / "outside.yaml", b"") is None


def test_a_linked_worktree_and_a_detached_head(tree: Path) -> None:
    """Both are at the commit that git says."""
    git(tree, "worktree", "add", "-q", "../linked")
    git(tree, "commit", "-q", "--allow-empty", "-m", "second")
    git(tree, "checkout", "-q", "--detach", "HEAD")

    for top in (tree, tree.parent / "linked"):
        found = checkout(top / "experiments")
        assert found is not None
        assert found.commit == git(top, "rev-parse", "HEAD")
        assert is_modified(found, top / "a.yaml", b"name: a.yaml\n") is False


def test_outside_of_a_repository_there_is_none(tmp_path: Path) -> None:
    """Nor before the first commit."""
    git(tmp_path, "init", "-q", "empty")

    assert checkout(tmp_path) is None
    assert checkout(tmp_path / "empty") is None


@pytest.mark.parametrize(
    "head",
    [
        b"ref: ../../../etc/passwd",
        b"ref: refs/heads/../../secret",
        b"ref: refs/heads/\xff",
        b"x" * 4_000_000,
        b"",
        b"\0",
    ],
)
def test_a_hostile_repository_is_no_repository(head: bytes, tmp_path: Path) -> None:
    """A HEAD that names no reference of the repository gives nothing, whatever it points to."""
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_bytes(head)
    (tmp_path / "secret").write_text("0" * 40)

    assert checkout(tmp_path) is None


@pytest.mark.parametrize("kind", ["cut", "version", "count", "garbage", "fifo"])
def test_a_damaged_index_says_nothing(kind: str, tree: Path) -> None:
    """The commit is known all the same."""
    path = tree / ".git" / "index"
    whole = path.read_bytes()
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    else:
        made = {
            "cut": whole[:40],
            "version": whole[:4] + b"\0\0\0\x09" + whole[8:],
            "count": whole[:8] + b"\xff" * 4 + b"\0" * 40,
            "garbage": os.urandom(5000),
        }
        path.write_bytes(made[kind])

    found = checkout(tree)

    assert found is not None
    assert is_modified(found, tree / "a.yaml", b"name: a.yaml\n") is None


def test_nothing_of_the_repository_is_run(tree: Path) -> None:
    """A filter, a hook and a monitor that the repository configures are not started."""
    trap = tree.parent / "trap"
    for name in ("core.fsmonitor", "filter.x.clean", "core.sshCommand", "core.pager"):
        git(tree, "config", name, f"touch {trap}")
    (tree / ".gitattributes").write_text("* filter=x\n")

    found = checkout(tree)

    assert found is not None
    assert is_modified(found, tree / "a.yaml", b"other\n") is True
    assert not trap.exists()
