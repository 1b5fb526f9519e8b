"""The records of several processes become one file of whole lines, and a full disk loses none."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit.errors import RefusedError
from chaoskit.records.join import join

LONG = b"9" * (3 << 20)  # more than a block


def parts(run: Path, *texts: bytes) -> list[Path]:
    """A folder with this file for each text."""
    made = [run / f"process-{number}" for number in range(len(texts))]
    for folder, text in zip(made, texts, strict=True):
        folder.mkdir()
        (folder / "tokens.jsonl").write_bytes(text)
    return made


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    """As that of a process that was killed; lines keep their order, however long, and the folders are gone."""
    join(tmp_path, parts(tmp_path, b"[1]\n[2]\n[3", b"", b"[4", LONG + b"\n[5]\n", b"[6]\n"))

    assert (tmp_path / "tokens.jsonl").read_bytes() == b"[1]\n[2]\n" + LONG + b"\n[5]\n[6]\n"
    assert [path.name for path in tmp_path.iterdir()] == ["tokens.jsonl"]


def test_what_cannot_be_joined_is_kept(tmp_path: Path) -> None:
    """A file that cannot be written is said, with where the records are."""
    made = parts(tmp_path, b"[1]\n", b"[2]\n")
    (tmp_path / "tokens.jsonl").symlink_to("/dev/full")

    with pytest.raises(
        RefusedError, match=r"No space left on device; they are kept in its folders process-0, process-1"
    ):
        join(tmp_path, made)
    assert [(folder / "tokens.jsonl").read_bytes() for folder in made] == [b"[1]\n", b"[2]\n"]
