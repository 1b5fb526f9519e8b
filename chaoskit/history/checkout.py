"""Says which commit and branch a run is made at: by the checkout, else by the variables of a CI job."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chaoskit import file_trust, programs
from chaoskit.conduct.git_checkout import Checkout, branch, checkout, common

_LIMIT = 10  # s that git may take
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_BRANCH = re.compile(r"[\w/.@+#-]{1,200}")
_COMMITS = ("GITHUB_SHA", "CI_COMMIT_SHA", "BUILDKITE_COMMIT", "CIRCLE_SHA1", "GIT_COMMIT", "BUILD_SOURCEVERSION")
"""GitHub, GitLab, Buildkite, CircleCI, Jenkins, Azure Pipelines; so are the next."""
_BRANCHES = (
    *("GITHUB_HEAD_REF", "GITHUB_REF_NAME", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_COMMIT_REF_NAME"),
    *("BUILDKITE_BRANCH", "CIRCLE_BRANCH", "BRANCH_NAME", "GIT_BRANCH", "BUILD_SOURCEBRANCHNAME"),
)


@dataclass(frozen=True)
class Revision:
    """A commit, its branch, and whether more than the commit was in the checkout; None where not known."""

    commit: str | None = None
    branch: str | None = None
    is_dirty: bool | None = None


def revision(folder: Path, environment: Mapping[str, str]) -> Revision:
    """Those of the checkout that holds this folder. A job of CI, which is at a commit alone, tells its branch."""
    tree = checkout(folder.absolute())
    told = _first(environment, _COMMITS, _COMMIT)
    if tree is None:
        return Revision(told, _first(environment, _BRANCHES, _BRANCH))
    name = branch(tree) or (_first(environment, _BRANCHES, _BRANCH) if told else None)
    return Revision(tree.commit, name, _is_dirty(tree))


def _first(environment: Mapping[str, str], names: tuple[str, ...], shape: re.Pattern[str]) -> str | None:
    return next((found for name in names if shape.fullmatch(found := environment.get(name, ""))), None)


def _is_dirty(tree: Checkout) -> bool | None:
    """Whether a file that git tracks is not as in the commit. None without git, and where git would obey others.

    git runs what the repository's configuration names, so it is asked only in a repository of this user.
    """
    places = (tree.top, tree.git, common(tree.git) / "config")
    if any(file_trust.untrusted(place, os.geteuid()) for place in places):
        return None
    options = ("--no-optional-locks", "-C", str(tree.top), "-c", "core.fsmonitor=false")
    asked = ("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=dirty")
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    if os.geteuid() == 0:
        own["GIT_CONFIG_GLOBAL"] = os.devnull  # sudo may have kept the HOME of a user
    try:
        command = (*programs.tool("git"), *options, *asked)
        answer = subprocess.run(
            command, env=own, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LIMIT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return bool(answer.stdout.strip()) if answer.returncode == 0 else None
