"""Whom a path's owners and modes let change what it leads to."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaoskit.file_trust import untrusted, weakness

ME = os.geteuid()


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory whose parents nobody else can change, as pytest's own are not bound to be."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def file(place: Path, mode: int = 0o755) -> Path:
    """A file `kernel` of this mode, in the place."""
    path = place / "kernel"
    path.touch()
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o755, 0o644, 0o600, 0o4755])
def test_a_file_that_only_its_owner_can_write_is_trusted(place: Path, mode: int) -> None:
    """So is the sticky /tmp above it, for the entry in it is the user's own."""
    assert untrusted(file(place, mode), ME) == ""


@pytest.mark.parametrize(
    ("mode", "who"), [(0o775, "group"), (0o757, "others"), (0o777, "group and others"), (0o620, "group")]
)
def test_a_file_that_others_can_write_is_not(place: Path, mode: int, who: str) -> None:
    """The reason names the file, and who can."""
    path = file(place, mode)

    assert untrusted(path, ME) == f"{path} can be written by {who}"


@pytest.mark.parametrize(("mode", "who"), [(0o775, "group"), (0o777, "group and others")])
def test_a_parent_that_others_can_write_is_not(place: Path, mode: int, who: str) -> None:
    """At any height: who can write a directory can put another file in the place of this one."""
    (place / "a" / "b").mkdir(parents=True)
    path = file(place / "a" / "b")
    (place / "a").chmod(mode)

    assert untrusted(path, ME) == f"{place}/a can be written by {who}"


def test_a_sticky_directory_is_passed_and_not_arrived_at(place: Path) -> None:
    """Its entries are their owners', but anybody can put new ones into it."""
    (place / "tmp").mkdir()
    (place / "tmp").chmod(0o1777)

    assert untrusted(file(place / "tmp"), ME) == ""
    assert untrusted(place / "tmp", ME) == f"{place}/tmp can be written by group and others"


def test_what_a_link_leads_through_is_checked(place: Path) -> None:
    """Absolute or relative, whatever lies behind it, with `..` taken as the kernel takes it."""
    (place / "open").mkdir()
    path = file(place / "open")
    (place / "open").chmod(0o777)
    (place / "absolute").symlink_to(path)
    (place / "relative").symlink_to("open/kernel")
    (place / "deep").symlink_to("open")
    weak = f"{place}/open can be written by group and others"

    assert [untrusted(place / name, ME) for name in ("absolute", "relative", "deep/kernel", "deep/../open/kernel")] == [
        weak
    ] * 4


def test_parents_that_only_the_text_of_a_path_has_are_not_looked_at(place: Path) -> None:
    """`link/..` is the parent of what the link leads to, which need not be where the link is."""
    (place / "safe").mkdir()
    (place / "safe" / "inner").mkdir()
    (place / "open").mkdir()
    (place / "open" / "link").symlink_to(place / "safe" / "inner")
    file(place / "safe")

    assert untrusted(place / "open" / "link" / ".." / "kernel", ME) == ""


def test_a_relative_path_is_checked_from_the_root_on(place: Path) -> None:
    """As if it had been written out."""
    path = file(place, 0o777)

    assert untrusted(Path(os.path.relpath(path)), ME) == f"{path} can be written by group and others"


def test_what_is_not_there_is_not_trusted(place: Path) -> None:
    """Nor is a circle of links; the reason names the place."""
    (place / "circle").symlink_to("circle")

    assert untrusted(place / "none" / "kernel", ME) == f"{place}/none cannot be examined: No such file or directory"
    assert untrusted(place / "circle", ME) == f"{place}/circle leads through more than 40 symbolic links"


@pytest.mark.parametrize("what", ["file", "folder", "link"])
def test_what_another_user_owns_is_trusted_for_him_alone(place: Path, what: str) -> None:
    """File, directory and symbolic link alike."""
    (place / "folder").mkdir()
    path = file(place / "folder")
    (place / "link").symlink_to(path)
    owner, first = ME, place
    if ME == 0:  # root's own is trusted for everybody, so it is given away
        place.chmod(0o755)
        owner, first = 1234, {"file": path, "folder": path.parent, "link": place / "link"}[what]
        os.chown(first, owner, owner, follow_symlinks=False)

    assert untrusted(place / "link", 0) == f"{first} is owned by user {owner}"
    assert untrusted(place / "link", owner + 1) == f"{first} is owned by user {owner}"
    assert untrusted(place / "link", owner) == ""


def test_what_is_roots_is_trusted_for_everybody() -> None:
    """As the system's programs are."""
    assert untrusted(Path("/usr"), 1234) == ""


def test_in_a_user_namespace_of_our_own_the_system_is_trusted_still() -> None:
    """Although root's files look like nobody's there; a mode that lets others write is seen as ever."""
    program = (
        "import os; from pathlib import Path; from chaoskit.file_trust import untrusted, weakness; "
        "print(os.stat('/usr').st_uid, [untrusted(Path(place), 0) for place in ('/usr', '/tmp')])"
    )
    drop = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"] if ME == 0 else []
    home = str(Path(__file__).parents[2])

    answer = subprocess.run(
        [*drop, "unshare", "--user", "--map-root-user", "/usr/bin/python3", "-c", program],
        env={"PYTHONPATH": home},
        capture_output=True,
        text=True,
        check=False,
    )

    assert answer.stdout == "65534 ['', '/tmp can be written by group and others']\n", answer.stderr


def test_one_command_mends_all(place: Path) -> None:
    """Every component that others can write is in it, once, and quoted where a shell needs that."""
    (place / "a b" / "c").mkdir(parents=True)
    path = file(place / "a b" / "c", 0o775)
    weak = [place / "a b", place / "a b" / "c", path]
    for each in weak:
        each.chmod(0o775)

    found = weakness(place / "a b" / "c" / ".." / "c" / "kernel", ME)

    assert found is not None
    assert found.reason == f"{place}/a b can be written by group"
    subprocess.run(["sh", "-c", found.remedy], check=True)
    assert [each.stat().st_mode & 0o777 for each in weak] == [0o755] * 3
    assert untrusted(path, ME) == ""


def test_what_no_command_mends_comes_first(place: Path) -> None:
    """A missing file below a directory that others can write has no remedy."""
    (place / "a").mkdir()
    (place / "a").chmod(0o777)

    found = weakness(place / "a" / "missing", ME)

    assert found is not None
    assert (found.reason, found.remedy) == (f"{place}/a/missing cannot be examined: No such file or directory", "")
