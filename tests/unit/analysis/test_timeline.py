"""The phase that a measurement is charged to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chaoskit.analysis.streams.timeline import FOREVER, Timeline, build_timeline, single_phase
from chaoskit.records.model import Phase

LAST = 10_000


def phases(*rows: tuple[str, bool, int, int]) -> list[Phase]:
    """Phases of (name, is faulted, begin, ready), each until the next one's begin."""
    ends = [row[2] for row in rows[1:]] + [LAST]
    return [
        Phase(name, 0, ("x",) if faulted else (), begin, ready, end)
        for (name, faulted, begin, ready), end in zip(rows, ends, strict=True)
    ]


COURSE = build_timeline(
    phases(("baseline", False, 0, 0), ("wifi", True, 100, 105), ("recovery", False, 200, 210)), LAST
)


def charged(begin: int, end: int) -> str:
    """The phase's name."""
    return COURSE.span_charged(begin, end).name


def test_a_fault_is_charged_what_overlaps_it() -> None:
    """An interval that reaches into a fault is charged to the fault, however early it began."""
    assert charged(10, 99) == "baseline"
    assert charged(10, 100) == "wifi"
    assert charged(10, 5000) == "wifi"
    assert charged(150, 300) == "wifi"


def test_a_fault_ends_when_the_next_phase_is_ready() -> None:
    """Until the change away from a fault is read back, what happens is charged to it."""
    assert charged(209, 300) == "wifi"
    assert charged(210, 300) == "recovery"


def test_the_first_of_two_faults_is_charged() -> None:
    """What overlaps two faults is charged to the earlier one."""
    course = build_timeline(phases(("a", False, 0, 0), ("b", True, 10, 11), ("c", True, 20, 21)), LAST)

    assert course.span_charged(5, 30).name == "b"
    assert course.span_charged(20, 30).name == "b"
    assert course.span_charged(21, 30).name == "c"


def test_before_the_first_phase_is_the_first_phase() -> None:
    """What began before the first phase belongs to it."""
    assert charged(-50, -40) == "baseline"


def test_the_drain_belongs_to_the_last_phase() -> None:
    """The drain is no phase; the last fault lasts through it, and no request time is added."""
    course = build_timeline(
        [
            *phases(("baseline", False, 0, 0), ("wifi", True, 100, 105)),
            Phase("drain", 0, ("x",), 200, 200, 300),
        ],
        300,
    )

    assert course.names == ("baseline", "wifi")
    assert course.spans[-1].end == 200
    assert course.span_charged(250, 290).name == "wifi"


def test_rounds_keep_their_name() -> None:
    """A phase that repeats is one name with two spans."""
    course = build_timeline(
        phases(("a", False, 0, 0), ("b", True, 10, 10), ("a", False, 20, 20), ("b", True, 30, 30)), LAST
    )

    assert course.names == ("a", "b")
    assert len(course.spans) == 4
    assert course.span_charged(22, 25) == course.spans[2]


def test_an_interrupted_phase_ends_with_the_records() -> None:
    """The last phase of a run that was cut off ends at the last stamp, not at its planned end."""
    course = build_timeline(phases(("a", False, 0, 0), ("b", True, 100, 100)), 150)

    assert course.spans[-1].end == 150
    assert course.spans[-1].cleared == FOREVER


def test_a_run_without_a_plan_is_one_phase() -> None:
    """Everything in it is charged to that phase."""
    course = single_phase("run", 5, 10)

    assert course.span_charged(0, 100).name == "run"
    assert course.begin == 5


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    """Timelines with phases of any length and any time until ready."""
    at, rows = 0, []
    for index in range(draw(st.integers(1, 6))):
        length = draw(st.integers(1, 50))
        rows.append((f"p{index}", draw(st.booleans()), at, at + draw(st.integers(0, length))))
        at += length
    return build_timeline(phases(*rows), LAST)


@given(timelines(), st.integers(-20, 400), st.integers(0, 200))
def test_the_effect_of_a_fault_is_never_charged_elsewhere(course: Timeline, begin: int, length: int) -> None:
    """An interval belongs to the first fault that it overlaps, else to the phase that it began in."""
    end = begin + length
    touched = [span for span in course.spans if span.faults and begin < span.cleared and end >= span.begin]
    begun = [span for span in course.spans if span.begin <= begin]

    assert course.span_charged(begin, end) == (touched or begun[-1:] or course.spans)[0]
