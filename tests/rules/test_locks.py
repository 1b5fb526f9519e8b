"""What is installed is what is locked, and what is locked has a hash; nobody's silence is taken for good news."""

from __future__ import annotations

import json
import re
import runpy
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TOP = Path(__file__).parents[2]
CI = TOP / ".ci"
LOCKS = sorted(CI.glob("lock-*.txt"))
AUDIT = runpy.run_path(str(CI / "audit"))
judge = AUDIT["judge"]


def locked(path: Path) -> dict[str, tuple[str, list[str]]]:
    """Version and hashes of every package in a lock."""
    text = re.sub(r"^#.*\n", "", path.read_text().replace("\\\n", " "), flags=re.MULTILINE)
    found: dict[str, tuple[str, list[str]]] = {}
    for line in text.splitlines():
        words, *hashes = line.split("--hash=")
        (version,) = Requirement(words.strip()).specifier
        assert version.operator == "==", line
        found[canonicalize_name(Requirement(words.strip()).name)] = (version.version, [each.strip() for each in hashes])
    return found


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_every_package_has_one_version_and_the_hash_of_each_file(path: Path) -> None:
    """Exactly one version, and SHA-256 of more than what this machine takes: a wheel and the source at the least."""
    packages = locked(path)

    assert packages
    for name, (_, hashes) in packages.items():
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes), name
        assert len(hashes) == len(set(hashes)) >= 1, name
    assert sum(len(hashes) > 1 for _, hashes in packages.values()) > len(packages) * 0.8


@pytest.mark.parametrize(("extra", "lock"), [(None, "lock-program.txt"), ("dev", "lock-tests.txt")])
def test_what_pyproject_asks_for_is_locked(extra: str | None, lock: str) -> None:
    """Each requirement, those of the build included, is in the lock, in a version that it allows."""
    told = tomllib.loads((TOP / "pyproject.toml").read_text())
    asked = told["build-system"]["requires"] + told["project"]["dependencies"]
    asked += told["project"]["optional-dependencies"][extra] if extra else []
    packages = locked(CI / lock)

    for requirement in map(Requirement, asked):
        version, _ = packages[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), requirement


def test_every_lock_is_audited() -> None:
    """The tools of a comparison run on the same machine as all others."""
    assert {"lock-program.txt", "lock-parity.txt", "lock-tcconfig.txt"} <= set(AUDIT["LOCKS"])
    assert len(AUDIT["LOCKS"]) == len(LOCKS)


def test_the_locks_agree() -> None:
    """What is tested is what is run: each package of the program's lock is the same in the tests'."""
    program, tests = locked(CI / "lock-program.txt"), locked(CI / "lock-tests.txt")

    assert program.items() <= tests.items()


def test_nothing_is_installed_without_a_lock() -> None:
    """Whatever calls pip demands hashes, or installs the tree itself without looking for anything else."""
    for path in (CI / "prepare", TOP / "vagrant" / "provision.sh", TOP / "Makefile"):
        lines = path.read_text().replace("\\\n", " ").splitlines()
        calls = [line for line in lines if re.search(r"-m pip .*install|\$pip ", line) and not line.startswith("pip=")]
        for line in calls:
            assert "--require-hashes" in line or ("--no-index" in line and "--no-deps" in line), line
        assert calls or path.name == "Makefile"


def test_the_virtual_machine_has_a_version() -> None:
    """Vagrant takes the box that was meant, not the newest."""
    assert re.search(
        r'^  config.vm.box_version = "[\d.]+"$', (TOP / "vagrant" / "Vagrantfile").read_text(), re.MULTILINE
    )


GOOD = {"name": "good", "version": "1", "vulns": []}
UNKNOWN = {"name": "unknown", "skip_reason": "Dependency not found"}
BAD = {"name": "bad", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([GOOD], 0, "0 known vulnerabilities in 1 of 1 packages"),
        ([GOOD, UNKNOWN], 3, "could not be checked: 1 packages, such as unknown"),
        ([], 3, "could not be checked"),
        ([BAD], 1, "bad 2: PYSEC-1, fixed in 3"),
        ([BAD, UNKNOWN], 1, "could not be checked: 1 packages"),
    ],
)
def test_an_audit_is_as_good_as_its_answers(packages: list[dict[str, object]], code: int, said: str) -> None:
    """0 only when every package was known and clean, 1 for a vulnerability, 3 for what nobody could tell."""
    found, lines = judge(json.dumps({"dependencies": packages}), "")

    assert found == code
    assert said in "\n".join(lines)


@pytest.mark.parametrize("answer", ["", "{}", "[]", "null", '{"dependencies": 3}', "Traceback"])
def test_an_auditor_without_a_report_has_not_audited(answer: str) -> None:
    """Whatever it said instead is told, with exit code 3."""
    code, lines = judge(answer, "ERROR: no way to the service\n")

    assert code == 3
    assert lines == ["could not be checked: ERROR: no way to the service"]
