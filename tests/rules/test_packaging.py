"""What is packed fits what it is packed for: the kernel's package this chaoskit, and every kernel its tag."""

from __future__ import annotations

import email
import json
import re
import runpy
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from chaoskit.substrate import kernel_cache, kernel_package

TOP = Path(__file__).parents[2]
ADDRESS = "https://code.example/a/chaoskit"
METADATA = runpy.run_path(str(TOP / ".ci" / "package_metadata.py"))
GENERATIONS = {"357eeccc02cd": 1, "17bed76132aa": 2}
"""Each recipe that was ever released, and the one of this tree, with its number."""


def test_a_kernel_of_another_configuration_has_another_number() -> None:
    """A change of `uml.config` or `uml.patch` counts `GENERATION` up, so that pip brings the kernel that fits."""
    assert GENERATIONS.get(kernel_cache.recipe()) == kernel_cache.GENERATION
    assert len(set(GENERATIONS.values())) == len(GENERATIONS)


def test_the_extra_brings_the_kernel_that_fits() -> None:
    """`chaoskit[kernel]` asks for the package of this number, of any version of Linux, where it can run."""
    told = tomllib.loads((TOP / "pyproject.toml").read_text())
    (asked,) = map(Requirement, told["project"]["optional-dependencies"]["kernel"])
    number = kernel_cache.GENERATION

    assert asked.name == kernel_package.PACKAGE
    assert asked.specifier.contains(f"{number}.6.12.117.1")
    assert not asked.specifier.contains(f"{number + 1}.6.12.117.1")
    assert asked.marker is not None
    assert asked.marker.evaluate({"platform_machine": "x86_64", "sys_platform": "linux"})
    assert not asked.marker.evaluate({"platform_machine": "aarch64", "sys_platform": "linux"})
    assert not asked.marker.evaluate({"platform_machine": "x86_64", "sys_platform": "darwin"})


def build(tree: Path, target: str, place: Path) -> Path:
    """A wheel or a source archive of a tree."""
    words = [sys.executable, "-P", "-m", "hatchling", "build", "--target", target, "--directory", str(place)]
    subprocess.run(words, cwd=tree, check=True, capture_output=True)
    (made,) = place.glob("*.whl" if target.startswith("wheel") else "*.tar.gz")
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree."""
    return build(TOP, "wheel", tmp_path_factory.mktemp("wheel"))


def test_a_clone_can_be_installed_to_work_in(tmp_path: Path) -> None:
    """An editable installation leads to this tree, although experiments have programs of their own."""
    editable = build(TOP, "wheel:editable", tmp_path)

    with zipfile.ZipFile(editable) as archive:
        (path,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith(".pth"))
    assert path.strip() == str(TOP)


def test_the_source_archive_gives_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    """Whoever builds from it gets the same file, byte for byte."""
    with tarfile.open(build(TOP, "sdist", tmp_path)) as archive:
        archive.extractall(tmp_path, filter="data")
    (tree,) = (path for path in tmp_path.iterdir() if path.is_dir())

    assert build(tree, "wheel", tmp_path / "again").read_bytes() == wheel.read_bytes()


def test_the_wheel_holds_the_program_and_nothing_else(wheel: Path) -> None:
    """Every file of the package but caches, its licence, its command; no tests, no tools of the repository."""
    names = {name for name in zipfile.ZipFile(wheel).namelist() if not name.startswith("chaoskit/experiments/")}
    package = {
        str(path.relative_to(TOP))
        for path in (TOP / "chaoskit").rglob("*")
        if path.is_file() and "pycache" not in str(path)
    }

    assert package <= names
    assert {name.partition("/")[2] for name in names - package} == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
    }


def test_chaos_toolkit_discovers_what_is_installed(wheel: Path, tmp_path: Path) -> None:
    """`chaos discover chaoskit` finds the actions and probes of the installed package."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    chaos = [str(Path(sys.executable).parent / "chaos"), "--no-version-check", "--no-log-file"]
    words = ["--settings", "none.yaml", "discover", "--no-install", "--discovery-path", "found.json", "chaoskit"]
    variables = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path / "installed"), "HOME": str(tmp_path)}
    subprocess.run([*chaos, *words], cwd=tmp_path, env=variables, check=True, capture_output=True)

    found = json.loads((tmp_path / "found.json").read_text())["activities"]
    assert {each["mod"] for each in found} == {"chaoskit.chaostoolkit.actions", "chaoskit.chaostoolkit.probes"}


def test_an_index_is_told_what_it_shows(wheel: Path) -> None:
    """Text, licence, keywords and classifiers are in the metadata; no link of the text leads to a file beside it."""
    with zipfile.ZipFile(wheel) as held:
        (name,) = (name for name in held.namelist() if name.endswith("/METADATA"))
        told = email.message_from_bytes(held.read(name))

    assert told["License-Expression"] == "Apache-2.0"
    assert "Operating System :: POSIX :: Linux" in told.get_all("Classifier", [])
    assert told["Description-Content-Type"] == "text/markdown"
    assert_no_file_is_linked(str(told.get_payload()))


def assert_no_file_is_linked(text: str) -> None:
    """Each link and picture has a whole address, or leads within the page."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    links = re.findall(r"\]\(([^)]+)\)", text) + re.findall(r'src="([^"]+)"', text)

    assert [link for link in links if not link.startswith(("https://", "http://", "#"))] == []
    assert "[[[cog" not in text


def test_the_links_of_the_first_page_lead_to_the_repository() -> None:
    """With its address each link and picture leads to the file of this version, and code stays as it is."""
    text = (TOP / "README.md").read_text()

    shown = METADATA["readme"](text, ADDRESS, "1.2.3")

    assert_no_file_is_linked(shown)
    assert f"[virtual time]({ADDRESS}/blob/v1.2.3/docs/virtual-time.md)" in shown
    assert f'src="{ADDRESS}/raw/v1.2.3/docs/images/loss-first-token.svg"' in shown
    assert [block[2] for block in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)] == [
        block[2] for block in re.finditer(r"^```(\w*)\n(.*?)^```$", shown, re.DOTALL | re.MULTILINE)
    ]
    assert all(url.startswith(ADDRESS) for url in METADATA["urls"](ADDRESS, "1.2.3").values())


def test_without_an_address_links_are_text() -> None:
    """What would be dead in an index is no link, and reads the same."""
    shown = METADATA["readme"]("See [the `map`](a.md), [a site](https://b.example) and [below](#c).\n", "", "1")

    assert shown == "See the `map`, [a site](https://b.example) and [below](#c).\n"
    assert METADATA["urls"]("", "1") == {}


@pytest.mark.parametrize("name", ["chain", "key", "root"])
def test_published_keys_say_that_they_are(name: str) -> None:
    """A reader, or a scanner's owner, finds in the file itself that it is no secret, and the module that uses it."""
    told = (TOP / "chaoskit" / "server" / f"identity-{name}.pem").read_text().partition("-----BEGIN")[0]

    assert re.search(r"# A published test (key|certificate)", told)
    (module,) = re.findall(r"chaoskit/\S+\.py", told)
    assert (TOP / module).exists()
