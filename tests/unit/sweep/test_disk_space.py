"""A sweep knows from its first run how much room the rest needs."""

from __future__ import annotations

from pathlib import Path

from chaoskit.sweep import disk_space


def test_a_run_directory_s_size_is_that_on_the_disk(tmp_path: Path) -> None:
    """Of all files in it; what is not there has none."""
    (tmp_path / "hosts").mkdir()
    (tmp_path / "hosts" / "log").write_bytes(b"x" * 100_000)

    assert 100_000 <= disk_space.size_of(tmp_path) < 120_000
    assert disk_space.size_of(tmp_path / "none") == 0
