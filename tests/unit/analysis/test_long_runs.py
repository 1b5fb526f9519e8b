"""A long run fits into memory."""

from __future__ import annotations

from pathlib import Path

from long_runs import analysed, write

MOST = 350  # bytes a token; ten million of them need less than 100, as what is there once is shared by more


def test_a_token_takes_few_bytes(tmp_path: Path) -> None:
    """300,000 tokens are analysed within a bound on the memory of the process."""
    tokens = write(tmp_path / "run", 600, 500)

    cost = analysed(tmp_path / "run")

    assert cost.tokens > 0.9 * tokens == 270_000
    assert (cost.memory - cost.idle) / tokens < MOST
