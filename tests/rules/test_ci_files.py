"""What runs chaoskit elsewhere is valid by the schemas and linters of those who read it, and asks for few rights."""

from __future__ import annotations

import fnmatch
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

TOP = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
CI = TOP / "docs" / "ci"
ACTION = TOP / ".github" / "actions" / "chaoskit"
WORKFLOWS = sorted((TOP / ".github" / "workflows").glob("*.yml"))
MANIFESTS = sorted((CI / "kubernetes").glob("*.yaml"))
OLDEST, NEWEST = "1.29", "1.37"
"""Of Kubernetes: the first that starts sidecars without being told to, and the last whose schema there is."""
PIN = re.compile(r"uses: (?P<action>[\w/-]+)@(?P<commit>[0-9a-f]{40}) # v(?P<version>[0-9.]+)")


def said(*words: str | Path, folder: Path = TOP) -> str:
    """What a linter says of a mistake; "" where it found none."""
    done = subprocess.run(list(map(str, words)), cwd=folder, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def schema_errors(schema: str, file: Path) -> str:
    """What is wrong by one of the schemas that check-jsonschema brings along; nothing is downloaded."""
    return said(BIN / "check-jsonschema", "--builtin-schema", f"vendor.{schema}", file)


def steps() -> Iterator[dict[str, Any]]:
    """Every step of the action and of the workflows."""
    yield from yaml.safe_load((ACTION / "action.yml").read_text())["runs"]["steps"]
    for workflow in WORKFLOWS:
        for job in yaml.safe_load(workflow.read_text())["jobs"].values():
            yield from job["steps"]


def test_githubs_schemas_accept_the_action_and_the_workflows() -> None:
    """Keys, types and events are those that GitHub knows."""
    assert schema_errors("github-actions", ACTION / "action.yml") == ""
    for workflow in WORKFLOWS:
        assert schema_errors("github-workflows", workflow) == ""


def test_gitlabs_schema_accepts_the_template(tmp_path: Path) -> None:
    """Both of its documents: what it asks for, and the job."""
    documents = list(yaml.safe_load_all((CI / "gitlab.yml").read_text()))

    assert [next(iter(each)) for each in documents] == ["spec", "$[[ inputs.job ]]"]
    for number, each in enumerate(documents):
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps(each))
        assert schema_errors("gitlab-ci", file) == ""


def test_foreign_actions_are_pinned() -> None:
    """By the whole commit, with its version beside it, and each action everywhere by the same one."""
    pins: dict[str, set[tuple[str, str]]] = {}
    for file in (ACTION / "action.yml", *WORKFLOWS):
        for line in file.read_text().splitlines():
            if "uses: " in line and "uses: ./" not in line:
                pin = PIN.search(line)
                assert pin, f"{file}: {line}"
                pins.setdefault(pin["action"], set()).add((pin["commit"], pin["version"]))

    assert {action: len(found) for action, found in pins.items()} == dict.fromkeys(pins, 1)


def test_no_expression_is_part_of_a_command() -> None:
    """What a pull request may name reaches a shell by its environment alone."""
    assert [step["run"] for step in steps() if "${{" in step.get("run", "")] == []


@pytest.mark.parametrize("place", [".github/actions/chaoskit/*.sh", ".ci/*"])
def test_scripts_are_clean(place: str) -> None:
    """shellcheck finds nothing in any of them."""
    scripts = [path for path in sorted(TOP.glob(place)) if path.is_file() and b"bash" in path.read_bytes()[:30]]

    assert scripts
    assert said(BIN / "shellcheck", "--severity=warning", *scripts) == ""


def test_the_containerfile_is_clean() -> None:
    """hadolint finds nothing, and the user of every image is no root."""
    assert said(BIN / "hadolint", TOP / "Containerfile") == ""
    users = re.findall(r"^(?:FROM|USER) (.*)$", (TOP / "Containerfile").read_text(), re.MULTILINE)
    assert users[users.index("docker.io/library/python:3.12-slim-bookworm AS bare") + 1] == "65532:65532"
    assert users[-2:] == ["65532:65532", "bare AS built"]


def test_an_image_is_built_from_what_dockerignore_leaves(tmp_path: Path) -> None:
    """The build context has every file of the wheel, and nothing of .venv, dist or .git."""
    patterns = [line for line in (TOP / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    kept = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    for pattern in kept:
        for path in TOP.glob(pattern):
            target = tmp_path / path.relative_to(TOP)
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                shutil.copytree(path, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(path, target)

    built = said(
        sys.executable, "-P", "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "out", folder=tmp_path
    )

    assert built == ""
    assert patterns[0] == "*"
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (TOP / "Containerfile").read_text(), re.MULTILINE)
    assert all(each == "." or any(fnmatch.fnmatch(each, pattern) for pattern in kept) for each in copied)


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """The pod of each manifest, by its file."""
    for manifest in MANIFESTS:
        for each in yaml.safe_load_all(manifest.read_text()):
            spec = each.get("spec", {}).get("jobTemplate", each).get("spec", {})
            if "template" in spec:
                yield manifest.name, spec["template"]["spec"]


def test_the_suite_of_a_manifest_is_valid_as_it_is_mounted(tmp_path: Path) -> None:
    """The files of its ConfigMap, all in one folder, are a suite whose experiments are there."""
    documents = yaml.safe_load_all((CI / "kubernetes" / "endpoint-cronjob.yaml").read_text())
    (files,) = (each["data"] for each in documents if each["kind"] == "ConfigMap")
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    assert said(BIN / "chaoskit", "validate", "gameday.yaml", folder=tmp_path) == ""


def debug_profile() -> dict[str, Any]:
    """What `kubectl debug --custom` adds to an ephemeral container."""
    found: dict[str, Any] = json.loads((CI / "kubernetes" / "debug-netadmin.json").read_text())
    return found


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_schema_accepts_every_manifest(version: str) -> None:
    """Of an old and of the newest version, strictly: an unknown key is a mistake."""
    for manifest in MANIFESTS:
        for each in yaml.safe_load_all(manifest.read_text()):
            kubernetes_validate.validate(each, version, strict=True)


def test_kubernetes_schema_accepts_the_debug_profile() -> None:
    """As a part of an ephemeral container."""
    ephemeral = {"name": "chaoskit", "image": "chaoskit", **debug_profile()}
    containers = [{"name": "web", "image": "web"}]
    spec = {"containers": containers, "ephemeralContainers": [ephemeral]}

    kubernetes_validate.validate({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec}, NEWEST)


def ours() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Each container of chaoskit with its pod."""
    yield "debug-netadmin.json", {}, debug_profile()
    for name, pod in pods():
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            if container["name"] == "chaoskit":
                yield name, pod, container


def test_a_container_has_no_more_rights_than_it_needs() -> None:
    """No privilege, no escalation, a file system that it cannot write, and NET_ADMIN for root or no capability at all;
    no token of the cluster, and no namespace of the node."""
    for name, pod, container in ours():
        context = container["securityContext"]
        added = context["capabilities"].get("add", [])
        assert context["capabilities"]["drop"] == ["ALL"], name
        assert added in ([], ["NET_ADMIN"]), name
        assert (added == ["NET_ADMIN"]) is ((context | pod.get("securityContext", {})).get("runAsUser") != 65532), name
        assert context["allowPrivilegeEscalation"] is context.get("privileged", False) is False, name
        assert context["readOnlyRootFilesystem"] is True, name
        assert "RuntimeDefault" in json.dumps([pod, context]), name
        assert pod == {} or pod["automountServiceAccountToken"] is False, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), name
        state = {"name": "CHAOSKIT_STATE", "value": "/dev/shm/chaoskit"}
        assert (state in container["env"]) is bool(added), f"{name}: the state must outlive the container"


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """`systemd-analyze verify` of timer, service and drop-in says nothing, and its score of exposure is at most 3.5."""
    for unit in (*(CI / "systemd").glob("*@*"), CI / "systemd" / "interface.conf"):
        folder = tmp_path if "@" in unit.name else tmp_path / "chaoskit-gameday@nightly.service.d"
        folder.mkdir(exist_ok=True)
        (folder / unit.name).write_text(unit.read_text().replace("/opt/chaoskit/bin/chaoskit", str(BIN / "chaoskit")))

    for name in ("chaoskit-gameday@nightly.timer", "chaoskit-gameday@other.service"):
        words = ["systemd-analyze", "verify", "--man=no", f"./{name}"]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
    service = "./chaoskit-gameday@.service"
    assert said("systemd-analyze", "security", "--offline=true", "--threshold=35", service, folder=tmp_path) == ""
