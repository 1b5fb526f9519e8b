"""Tests the size of a guest's memory, and the sentence about a guest that ran out of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit.errors import RefusedError, SpecError
from chaoskit.substrate import guest_memory
from chaoskit.units import Size

GUEST = Size.parse("512MiB")


def test_a_size_is_parsed() -> None:
    """Nothing given is nothing, a size is a size."""
    assert guest_memory.parse(None) is None
    assert guest_memory.parse("1GiB") == 2**30


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("2G", "--guest-memory: '2G' has the unit 'G', which is not a unit of a size; did you mean 2GB?"),
        ("", "--guest-memory: '' is not a size"),
        ("much", "for example --guest-memory 2GB"),
        ("64MB", "--guest-memory 64MB: a guest needs 256 MiB, and has 512 MiB without it"),
    ],
)
def test_what_is_no_size_of_a_guest_is_told(text: str, sentence: str) -> None:
    """With the option, what was found, and what to type."""
    with pytest.raises(SpecError) as refused:
        guest_memory.parse(text)

    assert sentence in str(refused.value)


def test_more_than_this_machine_has_is_refused() -> None:
    """A guest of a thousand terabytes would take the host's memory down with it."""
    with pytest.raises(RefusedError, match=r"--guest-memory 999999GB is more than the .* GB of this machine"):
        guest_memory.parse("999999GB")


def test_who_was_killed_is_told(tmp_path: Path) -> None:
    """Each name once, three at the most, without what a terminal would interpret."""
    killed = tmp_path / "killed"
    killed.write_text("java\njava\nno\x1b[2Jde\npython3\nnginx\n")

    sentence = guest_memory.shortage(killed, GUEST)

    assert sentence == (
        "the guest ran out of its 512 MiB of memory, and its kernel killed java, no\\x1b[2Jde: --guest-memory 2GB"
    )


def test_a_panic_for_want_of_memory_is_told(tmp_path: Path) -> None:
    """It leaves no list of names, and one line in the log."""
    none = tmp_path / "killed"

    assert guest_memory.shortage(none, GUEST, "Kernel panic - not syncing: attempted to kill init") == ""
    assert guest_memory.shortage(none, GUEST, "Kernel panic - not syncing: System is deadlocked on memory") == (
        "the guest ran out of its 512 MiB of memory: --guest-memory 2GB"
    )
