"""Who runs, who waits and who is refused at a gateway: for every policy and every order of events."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.tiers.admission import (
    QUEUES,
    STATUS,
    Admission,
    AdmissionSettings,
    Admitted,
    Decision,
    Policy,
    Rank,
    Refused,
)
from chaoskit.tiers.limiters import LimiterSettings
from chaoskit.tiers.saturation import ModelLoad, Telemetry

S, MS = 10**9, 10**6
RANKS = (Rank("premium", 2), Rank("standard", 1), Rank("batch", 0))
THRESHOLDS = {"standard": 1.0, "batch": 0.6}
POLICIES: tuple[Policy, ...] = ("none", "fcfs", "priority", "shed", "gradient")


def at(policy: Policy, telemetry: Telemetry | None = None, **more: object) -> Admission:
    """A gateway with one place, three classes and this policy."""
    settings = {"max_in_flight": 1, "thresholds": THRESHOLDS, **more}
    return Admission(AdmissionSettings(policy, RANKS, **settings), telemetry)  # type: ignore[arg-type]


def loaded(waiting: int = 0, kv: float = 0.0, at: int = 0) -> Telemetry:
    """One model that said so at this time."""
    telemetry = Telemetry(["model"])
    telemetry.observe("model", ModelLoad(1, waiting, kv), at)
    return telemetry


def test_fcfs_serves_in_the_order_of_arrival_and_counts_the_inversions() -> None:
    """A batch request that came first goes first; that a premium one waits meanwhile is counted."""
    queue = at("fcfs")

    assert queue.arrive(1, "standard", 0) == (Admitted(1, 0),)
    assert queue.arrive(2, "batch", 1 * S) == ()
    assert queue.arrive(3, "premium", 2 * S) == ()

    assert queue.ended(1, 5 * S) == (Admitted(2, 4 * S, inversions=1),)
    assert queue.ended(2, 6 * S) == (Admitted(3, 4 * S),)
    assert queue.counts["batch"].inversions == 1


def test_priority_serves_the_more_important_class_first() -> None:
    """Within a class the first one goes first."""
    queue = at("priority")
    queue.arrive(1, "batch", 0)
    for number, name in ((2, "batch"), (3, "standard"), (4, "premium"), (5, "premium")):
        assert queue.arrive(number, name, number * S) == ()

    order = []
    for number in (1, 4, 5, 3):
        (found,) = queue.ended(number, 10 * S)
        order.append(found.number)

    assert order == [4, 5, 3, 2]


def test_an_unknown_class_is_the_least_important_one() -> None:
    """Who says nothing, or what nobody knows, goes last."""
    queue = at("priority")
    queue.arrive(1, None, 0)
    queue.arrive(2, "gold", 0)
    queue.arrive(3, "batch", 0)
    queue.arrive(4, "standard", 0)

    assert [queue.ended(number, S)[0].number for number in (1, 4, 2)] == [4, 2, 3]


def test_a_full_queue_puts_out_the_least_important() -> None:
    """By priority; in the order of arrival the newcomer is refused."""
    for policy, refused in (("priority", (Refused(3, "displaced", 2 * S),)), ("fcfs", (Refused(4, "queue-full"),))):
        queue = at(policy, max_queue=2)  # type: ignore[arg-type]
        queue.arrive(1, "batch", 0)
        queue.arrive(2, "batch", 1 * S)
        queue.arrive(3, "batch", 1 * S)

        assert queue.arrive(4, "premium", 3 * S) == refused
    assert at("priority", max_queue=0).arrive(1, "batch", 0) == (Admitted(1, 0),)


def test_who_waits_too_long_is_refused() -> None:
    """At `ttl` after the arrival, not before."""
    queue = at("fcfs", ttl=60 * S)
    queue.arrive(1, "batch", 0)
    queue.arrive(2, "premium", 1 * S)

    assert queue.next_expiry == 61 * S
    assert queue.expire(61 * S - 1) == ()
    assert queue.expire(61 * S) == (Refused(2, "ttl-expired", 60 * S),)
    assert queue.next_expiry is None
    assert queue.ended(1, 62 * S) == ()


@pytest.mark.parametrize(
    ("waiting", "kv", "refused"),
    [
        (0, 0.0, set()),
        (2, 0.0, set()),
        (3, 0.0, {"batch"}),
        (0, 0.48, {"batch"}),
        (5, 0.0, {"batch", "standard"}),
        (0, 0.8, {"batch", "standard"}),
        (500, 1.0, {"batch", "standard"}),
    ],
)
def test_the_least_important_class_is_shed_first(waiting: int, kv: float, refused: set[str]) -> None:
    """Each class from its saturation on: max(waiting/5, KV cache/0.8). The first class is never shed."""
    for number, rank in enumerate(RANKS):
        queue = at("shed", loaded(waiting, kv), max_in_flight=10)

        found = queue.arrive(number, rank.name, 10 * MS)

        assert (found == (Refused(number, "saturated"),)) == (rank.name in refused), (rank, found)


def test_stale_telemetry_is_saturation() -> None:
    """A gateway that has heard nothing for more than 200 ms sheds as if the model were full, however idle it is."""
    queue = at("shed", loaded(at=0), max_in_flight=10)

    assert queue.arrive(1, "standard", 200 * MS) == (Admitted(1, 0),)
    assert queue.arrive(2, "standard", 200 * MS + 1) == (Refused(2, "saturated"),)
    assert queue.arrive(3, "premium", 10 * S) == (Admitted(3, 0),)


def test_without_a_number_there_is_room_while_the_model_is_not_saturated() -> None:
    """What waits goes as soon as the metrics say so."""
    telemetry = loaded(waiting=5)
    queue = at("priority", telemetry, max_in_flight=None)
    assert queue.arrive(1, "batch", 0) == ()
    assert queue.arrive(2, "premium", 1) == ()

    telemetry.observe("model", ModelLoad(3, 4, 0.1), 50 * MS)

    assert [each.number for each in queue.telemetry_changed(60 * MS)] == [2, 1]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_budget_bounds_the_requests_of_a_class(policy: Policy) -> None:
    """Others go past it where requests wait; where nobody waits it is refused."""
    ranks = (Rank("premium", 2), Rank("batch", 0, budget=1))
    queue = Admission(AdmissionSettings(policy, ranks, max_in_flight=3, limiter=LimiterSettings(first_limit=10)))
    queue.arrive(1, "batch", 0)

    second = queue.arrive(2, "batch", 1)

    assert second == (() if policy in QUEUES else (Refused(2, "budget"),))
    assert queue.arrive(3, "premium", 2) == (Admitted(3, 0),)
    assert queue.ended(1, 5) == ((Admitted(2, 4),) if policy in QUEUES else ())


def test_a_limiter_keeps_a_part_of_its_limit_for_the_important() -> None:
    """The thresholds are parts of it: batch has six of ten places."""
    queue = at("gradient", limiter=LimiterSettings(first_limit=10))
    found = [queue.arrive(number, "batch", 0)[0] for number in range(7)]
    assert [isinstance(each, Admitted) for each in found] == [True] * 6 + [False]
    assert found[-1] == Refused(6, "concurrency-limit")

    rest = [queue.arrive(number, "premium", 0)[0] for number in range(10, 15)]

    assert [isinstance(each, Admitted) for each in rest] == [True] * 4 + [False]
    assert STATUS["concurrency-limit"] == 503


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["arrive", "arrive", "end", "leave", "expire", "metrics"]),
        st.sampled_from(["premium", "standard", "batch", None]),
        st.integers(0, 30),
        st.integers(0, 400 * MS),
    ),
    max_size=80,
)


@given(st.sampled_from(POLICIES), EVENTS, st.sampled_from([None, 1, 3]), st.integers(0, 4), st.sampled_from([None, 2]))
def test_no_request_is_lost_or_decided_twice(
    policy: Policy,
    events: list[tuple[str, str | None, int, int]],
    places: int | None,
    room: int,
    budget: int | None,
) -> None:
    """Admitted + refused + abandoned + waiting = arrived; no more run than may; by priority there is no inversion."""
    telemetry = Telemetry(["model"])
    ranks = (RANKS[0], Rank("standard", 1, budget), RANKS[2])
    queue = Admission(AdmissionSettings(policy, ranks, places, room, 2 * S, THRESHOLDS), telemetry)
    arrived: dict[int, str] = {}
    decided: Counter[int] = Counter()
    running: dict[int, str] = {}
    waiting: set[int] = set()
    now = 0

    def note(found: tuple[Decision, ...]) -> None:
        for each in found:
            decided[each.number] += 1
            waiting.discard(each.number)
            if isinstance(each, Admitted):
                running[each.number] = arrived[each.number]
                assert each.waited >= 0
                if policy in ("priority", "shed"):
                    assert each.inversions == 0

    for number, (what, name, pick, step) in enumerate(events):
        now += step
        match what:
            case "arrive":
                arrived[number] = name if name in ("premium", "standard") else "batch"
                waiting.add(number)
                note(queue.arrive(number, name, now))
            case "end" if running:
                done = sorted(running)[pick % len(running)]
                del running[done]
                note(queue.ended(done, now))
            case "leave" if waiting:
                gone = sorted(waiting)[pick % len(waiting)]
                waiting.discard(gone)
                decided[gone] += 1
                note(queue.abandoned(gone, now))
            case "expire":
                note(queue.expire(now))
            case "metrics":
                telemetry.observe("model", ModelLoad(0, pick % 8, pick / 30), now)
                note(queue.telemetry_changed(now))
        assert queue.in_flight == len(running)
        assert queue.waiting == len(waiting) <= max(room, 0)
        if policy in QUEUES and places is not None:
            assert len(running) <= places
        if budget is not None:
            assert sum(each == "standard" for each in running.values()) <= budget

    assert set(decided.values()) <= {1}
    assert set(arrived) == set(decided) | waiting
    for rank in ranks:
        counts = queue.counts[rank.name]
        still = sum(arrived[number] == rank.name for number in waiting)
        assert counts.arrived == counts.admitted + counts.refused + counts.abandoned + still


def test_numbers_that_are_not_known_change_nothing() -> None:
    """An end that is told twice frees one place."""
    queue = at("fcfs")
    queue.arrive(1, "batch", 0)
    queue.arrive(2, "batch", 0)
    queue.arrive(3, "batch", 0)

    assert queue.ended(1, 1) == (Admitted(2, 1),)
    assert queue.ended(1, 2) == ()
    assert queue.abandoned(9, 2) == ()
    assert (queue.in_flight, queue.waiting) == (1, 1)
