"""Configuration files are read as a host sees them, and nothing that is no such file can stop a plan."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chaoskit.conduct.config_files import ConfigFiles
from chaoskit.errors import SpecError


def test_paths_are_of_the_folder_or_of_the_root(tmp_path: Path) -> None:
    """A relative path is beside the experiment; an absolute one is below the host's root, if it has its own."""
    (tmp_path / "nginx.conf").write_text("beside")
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "root/etc/nginx.conf").write_text("inside")

    assert ConfigFiles(tmp_path).read("nginx.conf") == "beside"
    assert ConfigFiles(tmp_path).read(str(tmp_path / "nginx.conf")) == "beside"
    assert ConfigFiles(tmp_path, tmp_path / "root").read("/etc/nginx.conf") == "inside"


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    """A FIFO, which nobody writes to, a folder, a device, a huge file, a name that is none."""
    os.mkfifo(tmp_path / "fifo")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 40)

    for path in ("fifo", ".", "/dev/zero", "huge", "missing", "a\0b", "x" * 5000):
        with pytest.raises(SpecError):
            ConfigFiles(tmp_path).read(path)


def test_bytes_that_are_no_text_are_replaced(tmp_path: Path) -> None:
    """Comments in Latin-1 do not matter."""
    (tmp_path / "a").write_bytes(b"# caf\xe9\nx;")

    assert ConfigFiles(tmp_path).read("a").endswith("\nx;")


def test_patterns_match_files_of_one_folder(tmp_path: Path) -> None:
    """Sorted, without folders, at most a hundred, written as the pattern is."""
    (tmp_path / "conf.d/folder.conf").mkdir(parents=True)
    for name in ("b.conf", "a.conf", "c.txt"):
        (tmp_path / "conf.d" / name).write_text("")
    (tmp_path / "many").mkdir()
    for number in range(120):
        (tmp_path / f"many/{number}.conf").write_text("")
    files = ConfigFiles(tmp_path)

    assert files.matching("conf.d/*.conf") == ("conf.d/a.conf", "conf.d/b.conf")
    assert files.matching(f"{tmp_path}/conf.d/[a]*") == (f"{tmp_path}/conf.d/a.conf",)
    assert files.matching("conf.d/c.txt") == ("conf.d/c.txt",)
    assert len(files.matching("many/*")) == 100
    for nothing in ("missing/*", "*/a.conf", "missing", "a\0*", "conf.d/", "**"):
        assert files.matching(nothing) == ()
