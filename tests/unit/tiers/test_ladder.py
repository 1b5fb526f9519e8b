"""Steps of degradation: reached at their trigger, held, released with hysteresis, in order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chaoskit.tiers.ladder import LadderSettings, Step, StepLadder

S = 10**9
STEPS = (
    Step("breadth", 0.6, 0.3, breadth=0.4),
    Step("single-tool", 0.8, 0.6),
    Step("concise", 1.0, 0.8, max_tokens=60),
)


def names(ladder: StepLadder) -> list[str]:
    """Of the steps in force."""
    return [step.name for step in ladder.in_force]


def test_each_step_is_reached_at_its_trigger() -> None:
    """At once, and several together where the signal jumps."""
    ladder = StepLadder(LadderSettings(STEPS))
    assert ladder.observe(0.59, 0) == ()

    (first,) = ladder.observe(0.6, 1)
    assert (first.step.name, first.is_entered, first.at, first.signal) == ("breadth", True, 1, 0.6)
    assert [each.step.name for each in ladder.observe(5.0, 2)] == ["single-tool", "concise"]
    assert names(ladder) == ["breadth", "single-tool", "concise"]


def test_each_step_is_released_when_the_signal_was_low_for_long_enough() -> None:
    """The last one first, each after a time of its own; a rise in between begins it anew."""
    ladder = StepLadder(LadderSettings(STEPS, hold=5 * S))
    ladder.observe(1.0, 0)

    assert ladder.observe(0.8, 10 * S) == ()
    assert ladder.observe(0.81, 14 * S) == ()
    assert ladder.observe(0.2, 15 * S) == ()
    assert ladder.observe(0.2, 20 * S - 1) == ()
    (released,) = ladder.observe(0.2, 20 * S)
    assert (released.step.name, released.is_entered) == ("concise", False)
    assert ladder.observe(0.2, 24 * S) == ()
    assert [each.step.name for each in ladder.observe(0.2, 25 * S)] == ["single-tool"]
    assert names(ladder) == ["breadth"]


def test_a_signal_around_one_threshold_does_not_oscillate() -> None:
    """Between release and trigger nothing changes, for however long."""
    ladder = StepLadder(LadderSettings(STEPS, hold=0))
    ladder.observe(0.6, 0)

    for number in range(1, 1000):
        assert ladder.observe(0.31 + 0.28 * (number % 2), number * S) == ()

    assert ladder.switches == 1


@given(st.lists(st.tuples(st.floats(0, 2), st.integers(0, 3 * S)), max_size=60), st.sampled_from([0, 2 * S, 5 * S]))
def test_the_steps_in_force_are_the_first_ones_and_keep_their_time(moves: list[tuple[float, int]], hold: int) -> None:
    """A release comes `hold` or more after the last signal above its threshold; each entry at or above its trigger."""
    ladder = StepLadder(LadderSettings(STEPS, hold=hold))
    now = 0
    history: list[tuple[int, float]] = []

    for signal, step in moves:
        now += step
        history.append((now, signal))
        for switch in ladder.observe(signal, now):
            if switch.is_entered:
                assert signal >= switch.step.trigger
            else:
                above = [at for at, value in history if value > switch.step.release]
                assert not above or now - above[-1] >= hold
        assert names(ladder) == [each.name for each in STEPS[: len(ladder.in_force)]]
        assert all(signal < each.trigger for each in STEPS[len(ladder.in_force) :])
