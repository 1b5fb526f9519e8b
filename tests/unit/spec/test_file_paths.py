"""The dotted paths of a file are found by their beginning, and by their end."""

from __future__ import annotations

from typing import Any

import pytest

from chaoskit.spec.file_paths import could_follow
from chaoskit.spec.matrix_axes import resolve

WORDS: dict[str, Any] = {
    "name": "x",
    "workload": {"request-rate": "1/s"},
    "faults": {
        "wifi": {"netem": {"delay": "5ms", "loss": {"gemodel": {"p": "1%", "r": "25%"}}}},
        "vpn": [{"direction": "up"}, {"pmtu": {"mtu": "1400"}}],
    },
    "matrix": {"stage.ip": ["4", "6"]},
}


def test_a_path_is_begun() -> None:
    """With the values of the file, what its matrix varies, and keys that could be added at that place."""
    top, below = could_follow("", WORDS), could_follow("faults.wifi.netem.j", WORDS)

    assert top[:2] == ["stage.ip", "workload.request-rate"]
    assert {"faults.wifi.netem.loss.gemodel.p", "faults.vpn.1.pmtu.mtu", "seed"} <= set(top)
    assert not {"name", "matrix", "faults", "faults.wifi.netem.loss"} & set(top)
    assert "faults.wifi.netem.jitter" in below
    assert "faults.wifi.netem.loss" not in below


@pytest.mark.parametrize("begun", ["faults.none.", "faults.wifi.netem.delay.", "..", "faults.vpn.7."])
def test_a_beginning_that_leads_nowhere_breaks_nothing(begun: str) -> None:
    """The values of the file are still there."""
    assert "workload.request-rate" in could_follow(begun, WORDS)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("wifi.netem.loss", r"did you mean faults\.wifi\.netem\.loss\?"),
        ("gemodel.p", r"did you mean faults\.wifi\.netem\.loss\.gemodel\.p\?"),
        ("faults.wifi.0.netem.loss", r"no list in this file; write faults\.wifi\.netem\.loss$"),
        ("faults.vpn.pmtu.mtu", r"write for example faults\.vpn\.1\.pmtu\.mtu$"),
        ("faults.wify.netem.loss", r"did you mean wifi\?"),
    ],
)
def test_a_wrong_path_is_told_with_the_one_that_is_meant(wrong: str, right: str) -> None:
    """Where its end, or its spelling, says which one that is."""
    with pytest.raises(ValueError, match=right):
        resolve(wrong, WORDS)


def test_a_key_that_the_file_has_not_yet_is_no_mistake() -> None:
    """Although another place has one of the same name."""
    assert resolve("seed", {"server": {"seed": "1"}}) == ("seed",)
