"""Two runs are compared: what regressed is said, what chance does is not, and what is not comparable is refused."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_runs import Made, plan
from simulated_pairs import OBJECTIVES, SAME, TEXT, WORSE, Change, Simulated, simulated

from chaoskit.analysis.run_comparison.compare import compare_runs
from chaoskit.analysis.run_comparison.directories import find, read
from chaoskit.analysis.run_comparison.family import tails, weights
from chaoskit.analysis.run_comparison.pairs import pairs
from chaoskit.analysis.run_comparison.request import KINDS, request
from chaoskit.analysis.run_comparison.result import Candidate, MetricChange, RunComparison
from chaoskit.analysis.run_comparison.sides import Side
from chaoskit.errors import SpecError
from chaoskit.folder import telling_names
from chaoskit.report.run_comparison.words import change_in_words, in_order, judged_in_words, verdict_in_words
from chaoskit.spec.metrics import METRICS
from chaoskit.spec.tolerances import Tolerances

_POOL = 46  # runs, of which 1,035 pairs can be made


def compared(*runs: Path, tolerance: tuple[str, ...] = (), despite: str = "") -> RunComparison:
    """The comparison, as the command makes it."""
    return compare_runs(request(runs, [], [], tolerance, despite))


def change(found: RunComparison, metric: str, phase: str = "wifi", candidate: int = 0) -> MetricChange:
    """The change of one metric."""
    return next(each for each in found.candidates[candidate].changes if (each.metric, each.phase) == (metric, phase))


def shown(candidate: Candidate) -> list[str]:
    """What is said to be different."""
    return [each.metric for each in candidate.changes if each.verdict in ("regressed", "improved", "changed")]


@given(st.lists(st.tuples(st.floats(1e-6, 1), st.floats(0.01, 10)), min_size=1, max_size=12))
def test_the_family_is_holms_procedure(tests: list[tuple[float, float]]) -> None:
    """With p-values it rejects what the sequential procedure of Holm's section 4 rejects."""
    p_values = {number: p for number, (p, _) in enumerate(tests)}
    shares = {number: weight for number, (_, weight) in enumerate(tests)}
    alpha, left, rejected = 0.3, dict(shares), set[int]()
    for number in sorted(p_values, key=lambda each: p_values[each] / shares[each]):
        if p_values[number] > alpha * shares[number] / sum(left.values()):
            break
        rejected.add(number)
        del left[number]

    found = tails(shares, lambda each, part: p_values[each] <= alpha * part)

    assert {each for each, part in found.items() if p_values[each] <= alpha * part} == rejected


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    """A run."""
    return simulated(1).write(tmp_path / "reference")


def test_what_became_worse_is_a_regression(reference: Path, tmp_path: Path) -> None:
    """The metrics of the phase that became worse are flagged, those of the other are not; the exit code is 1."""
    found = compared(reference, simulated(2, WORSE).write(tmp_path / "worse"))

    verdicts = {metric: change(found, metric).verdict for metric in ("ttft_p50", "stall_ratio", "interruption_rate")}
    assert verdicts == dict.fromkeys(verdicts, "regressed")
    assert [each.verdict for each in found.candidates[0].changes if each.phase == "baseline"] == ["not-shown"] * 10
    assert (found.verdict, found.exit_code) == ("regressed", 1)
    assert found.candidates[0].reason.startswith("ttft_p50 during wifi ")


def test_the_same_is_no_regression(reference: Path, tmp_path: Path) -> None:
    """Another seed of the same: nothing is flagged, and the sentence says what a regression could still be."""
    found = compared(reference, simulated(2).write(tmp_path / "same"))

    assert (found.verdict, found.exit_code) == ("not-shown", 0)
    assert "may still be" in found.candidates[0].reason


def test_the_way_back_is_an_improvement(reference: Path, tmp_path: Path) -> None:
    """With sides exchanged each regression is an improvement, and the intervals are mirrored."""
    worse = simulated(2, WORSE).write(tmp_path / "worse")

    there, back = compared(reference, worse), compared(worse, reference)

    opposite = {"regressed": "improved", "improved": "regressed", "not-shown": "not-shown", "undecided": "undecided"}
    for one, other in zip(there.candidates[0].changes, back.candidates[0].changes, strict=True):
        if one.difference.value is not None and other.difference.value is not None:
            assert other.verdict.replace("changed", "improved") == opposite[one.verdict], one
        if one.level == other.level and one.difference.high is not None and other.difference.low is not None:
            assert other.difference.low == pytest.approx(-one.difference.high), one.metric


def test_pairs_without_a_difference_are_flagged_in_5_percent_at_most(tmp_path: Path) -> None:
    """Of a thousand pairs of runs of one distribution, no more show any change in any of 22 comparisons."""
    groups = [find([simulated(seed, streams=40, tokens=12).write(tmp_path / str(seed))]) for seed in range(_POOL)]
    sides = [Side([run for _, run in runs]) for runs in read(groups, lambda *_: None)]
    flagged = total = 0

    for one, other in combinations(sides, 2):
        every = [pair for pair in pairs({"": one}, {"": other}, Tolerances()) if pair.can_differ]
        parts = tails(
            weights([pair for pair in every if pair.is_named], [pair for pair in every if not pair.is_named]),
            lambda pair, part: pair.differs(part),
        )
        flagged += any(pair.differs(parts[pair]) for pair in every)
        total += 1

    assert total > 1000
    assert flagged <= 0.05 * total


def test_a_difference_is_found_among_many_comparisons(tmp_path: Path) -> None:
    """A median that doubles in one phase is flagged in each of four pairs."""
    for seed in range(4):
        one = simulated(2 * seed, streams=100).write(tmp_path / f"{seed}-one")
        other = simulated(2 * seed + 1, Change(latency=2), streams=100).write(tmp_path / f"{seed}-other")

        assert "ttft_p50" in shown(compared(one, other).candidates[0])


def test_the_family_by_hand() -> None:
    """Each comparison gets its part of the error; the parts of those that differ go to the others."""
    needs = {"a": 0.3, "b": 0.4, "c": 1.1, "d": 2.0}  # differs when it gets less than 1 / needs as its part

    found = tails(dict.fromkeys(needs, 0.25), lambda each, part: part >= needs[each])

    assert found == {"a": 0.25, "b": 0.25, "c": 0.25, "d": 0.25}
    found = tails(dict.fromkeys(needs, 0.25), lambda each, part: part >= {"a": 0.2, "b": 0.33}.get(each, 2))
    assert found == pytest.approx({"a": 0.25, "b": 1 / 3, "c": 0.5, "d": 0.5})
    assert weights(["a", "b"], ["c"]) == {"a": 0.25, "b": 0.25, "c": 0.5}
    assert weights([], ["c", "d"]) == {"c": 0.5, "d": 0.5}


def test_no_worse_is_shown_by_an_interval_within_the_tolerance(tmp_path: Path) -> None:
    """A metric whose interval lies within its margin is no worse; a narrower margin is undecided, with a number."""
    one, other = (simulated(seed, streams=200).write(tmp_path / str(seed)) for seed in (3, 4))

    wide, narrow = compared(one, other, tolerance=("ttft_p50=60%",)), compared(one, other, tolerance=("ttft_p50=2%",))

    assert change(wide, "ttft_p50").verdict == "no-worse"
    assert (wide.verdict, wide.exit_code) == ("no-worse", 0)
    undecided = change(narrow, "ttft_p50")
    assert undecided.verdict == "undecided"
    assert undecided.streams_needed is not None
    assert undecided.streams_needed > 200
    assert "on each side would decide" in undecided.reason
    assert (narrow.verdict, narrow.exit_code) == ("undecided", 5)


def test_a_change_within_the_tolerance_is_no_regression(tmp_path: Path) -> None:
    """What is surely worse, but surely by less than the margin, is no worse; beyond the margin it is a regression."""
    one = simulated(5, streams=400).write(tmp_path / "one")
    other = simulated(6, Change(latency=1.5), streams=400).write(tmp_path / "other")

    verdicts = [
        change(compared(one, other, tolerance=(f"ttft_p50={margin}",)), "ttft_p50").verdict
        for margin in ("5%", "200%", "1ms", "500ms")
    ]

    assert verdicts == ["regressed", "no-worse", "regressed", "no-worse"]


def test_a_tolerance_of_all_leaves_out_what_is_0_when_all_is_well(reference: Path, tmp_path: Path) -> None:
    """A share of no interruptions is nothing: such a metric keeps no margin, and an amount gives it one."""
    other = simulated(2).write(tmp_path / "other")

    found = compared(reference, other, tolerance=("90%", "stall_ratio=30pp"))

    assert change(found, "interruption_rate").margin == ""
    assert change(found, "ttft_p50").margin == "90%"
    assert change(found, "stall_ratio").verdict == "no-worse"


def test_too_few_streams_decide_nothing(tmp_path: Path) -> None:
    """Where no interval can exclude anything, the comparison is undecided and never passes."""
    one, other = (simulated(seed, streams=4).write(tmp_path / str(seed)) for seed in (1, 2))

    found = compared(one, other)

    assert found.exit_code == 5
    assert "streams on each side would decide" in found.candidates[0].reason


def test_an_overloaded_client_decides_nothing(reference: Path, tmp_path: Path) -> None:
    """A run that measured itself is named, and no change in it is flagged."""
    slow = simulated(2, WORSE)
    slow.made.vitals(20_000, lag=900)

    found = compared(reference, slow.write(tmp_path / "slow"))

    assert shown(found.candidates[0]) == []
    assert (found.exit_code, found.judged) == (5, 0)
    assert judged_in_words(found) == "nothing could be judged"
    assert "the client was too slow" in found.candidates[0].reason


def test_another_experiment_is_refused_with_its_fields(reference: Path, tmp_path: Path) -> None:
    """The refusal names each key that differs with both values, and what to type; then it is compared all the same."""
    other = simulated(2, delay="90ms").write(tmp_path / "other")

    with pytest.raises(SpecError) as refused:
        compared(reference, other)

    assert "--despite experiment" in str(refused.value)
    assert "faults.wifi.netem.delay: 30ms -> 90ms" in str(refused.value)
    (difference,) = compared(reference, other, despite="experiment").candidates[0].differences
    assert [(each.field, each.reference, each.value) for each in difference.fields] == [
        ("faults.wifi.netem.delay", "30ms", "90ms")
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("name: simulated", "name: another"),
        ("10s}", "10000ms}"),
        ("seed: 2", "seed: 3"),
        ("name:", "# a comment\nname:"),
    ],
)
def test_what_does_not_matter_is_no_other_experiment(reference: Path, tmp_path: Path, before: str, after: str) -> None:
    """A name, a seed, a comment and another spelling of the same value can be compared."""
    other = simulated(2).write(tmp_path / "other")
    file = other / "experiment.yaml"
    file.write_text(file.read_text().replace(before, after))

    assert compared(reference, other).candidates[0].differences == ()


def test_without_the_file_the_plans_are_compared(reference: Path, tmp_path: Path) -> None:
    """A run directory that lost its experiment file still tells that the fault was another one."""
    other = simulated(2, delay="90ms").write(tmp_path / "other")
    for run in (reference, other):
        (run / "experiment.yaml").unlink()

    with pytest.raises(SpecError, match=r"expectations\S*: 30000000 -> 90000000"):
        compared(reference, other)


@pytest.mark.parametrize(
    ("machine", "kind", "sentence"),
    [
        ({"clock": "virtual", "kernel": "6.12"}, "clock", "ran in real time, .* in virtual time"),
        ({"clock": "real", "kernel": "6.13"}, "kernel", "ran in kernel 6.12, .* in kernel 6.13"),
    ],
)
def test_another_clock_or_kernel_is_refused(
    reference: Path, tmp_path: Path, machine: dict[str, str], kind: str, sentence: str
) -> None:
    """Each is named with what it was, and can be accepted."""
    other = simulated(2).write(tmp_path / "other")
    (reference / "machine.json").write_text(json.dumps({"clock": "real", "kernel": "6.12"}))
    (other / "machine.json").write_text(json.dumps(machine))

    with pytest.raises(SpecError, match=sentence) as refused:
        compared(reference, other)

    assert f"--despite {kind}" in str(refused.value)
    assert [each.kind for each in compared(reference, other, despite=kind).candidates[0].differences] == [kind]


def test_a_killed_run_is_refused(reference: Path, tmp_path: Path) -> None:
    """It is named, on either side, and compared as far as it came when that is wanted."""
    killed = simulated(2)
    killed.made.outcome = {"how": "interrupted", "detail": "killed before its outcome was recorded"}
    run = killed.write(tmp_path / "killed")

    for pair in ((reference, run), (run, reference)):
        with pytest.raises(SpecError, match=r"killed was interrupted \(killed before its outcome"):
            compared(*pair)
        assert compared(*pair, despite="unfinished").exit_code == 0


def made_at(run: Path, started: str) -> None:
    """Write when it began, and what it was made with."""
    provenance: dict[str, Any] = {"started": started, "time_zone": "UTC", "chaoskit": "1", "python": "3"}
    provenance |= dict.fromkeys(("chaoskit_commit", "file", "sha256", "commit", "is_modified"))
    (run / "provenance.json").write_text(json.dumps(provenance | {"kernel": "6.12", "libraries": {}}))


def test_a_run_with_itself_is_refused(reference: Path, tmp_path: Path) -> None:
    """Given twice, by a link, or as a copy."""
    link, copy = tmp_path / "link", tmp_path / "copy"
    link.symlink_to(reference)
    made_at(reference, "2026-11-29T12:00:00+00:00")
    shutil.copytree(reference, copy)

    for other in (reference, link, copy):
        with pytest.raises(SpecError, match="a run compared with itself says nothing"):
            compared(reference, other)


@pytest.mark.parametrize("tolerance", [(), ("1%",), ("ttft_p50=1%",)])
def test_the_same_records_are_the_last_word(reference: Path, tmp_path: Path, tolerance: tuple[str, ...]) -> None:
    """In virtual time a change that changes nothing gives the same records: no interval says more than that."""
    again = simulated(1).write(tmp_path / "again")

    (candidate,) = compared(reference, again, tolerance=tolerance).candidates

    assert "byte for byte" in candidate.remarks[0]
    assert (candidate.verdict, candidate.reason) == ("not-shown", "nothing changed: every record is the same")
    assert not [each for each in candidate.changes if each.verdict == "undecided"]


def test_the_same_records_of_an_overloaded_client_decide_nothing(tmp_path: Path) -> None:
    """What could not be measured is not called unchanged."""
    runs = [simulated(1, streams=60).write(tmp_path / name) for name in ("one", "two")]
    for run in runs:
        (run / "requests.jsonl").write_text("")
        (run / "tokens.jsonl").write_text("")

    assert compared(*runs).exit_code == 5


def test_a_repeat_on_one_side_counts_once(reference: Path, tmp_path: Path) -> None:
    """The same records are no further evidence, on either side: all is as without it, and it is named."""
    again, other = simulated(1).write(tmp_path / "again"), simulated(2, Change(latency=1.4)).write(tmp_path / "other")
    single, back = compared(reference, other), compared(other, reference)

    of_reference = compare_runs(request([], [reference, again], [other], (), None))
    of_candidate = compare_runs(request([], [other], [reference, again], (), None))

    assert of_reference.candidates[0].changes == single.candidates[0].changes
    assert of_candidate.candidates[0].changes == back.candidates[0].changes
    for told, sides in (
        (of_reference.remarks, of_reference.reference),
        (of_candidate.candidates[0].remarks, of_candidate.candidates[0].runs),
    ):
        assert told == (
            f"{again} has the same records as {reference}, and counts once with it; run it with another --seed",
        )
        assert len(sides) == 1


def test_pools_that_share_a_run_say_so(reference: Path, tmp_path: Path) -> None:
    """One run of a pool repeats one of the other side: both count, and that they are alike is told."""
    again = simulated(1).write(tmp_path / "again")
    more = [simulated(seed).write(tmp_path / str(seed)) for seed in (2, 3)]

    (candidate,) = compare_runs(request([], [reference, more[0]], [more[1], again], (), None)).candidates

    assert candidate.remarks == (f"{again} has the same records as {reference}, byte for byte",)
    assert "nothing changed" not in candidate.reason


def test_variants_with_the_same_records_are_no_copies(tmp_path: Path) -> None:
    """A matrix can begin two variants in one second, whose streams go alike: their plans tell them apart."""
    folders = [
        matrix(tmp_path / name, {f"delay={delay}": simulated(seed, delay=delay) for delay in ("30ms", "60ms")})
        for name, seed in (("before", 1), ("after", 2))
    ]
    for folder in folders:
        for run in folder.glob("delay=*"):
            made_at(run, folder.name)

    assert compared(*folders).exit_code == 0
    shutil.copytree(folders[0], tmp_path / "copy")
    with pytest.raises(SpecError, match="is a copy of"):
        compared(folders[0], tmp_path / "copy")
    assert "nothing changed" in compared(*sorted(folders[0].glob("delay=*")), despite="experiment").candidates[0].reason


def test_each_is_compared_with_the_first(reference: Path, tmp_path: Path) -> None:
    """Of three directories two are candidates, and the exit code is that of the worst."""
    same, worse = simulated(2).write(tmp_path / "same"), simulated(3, WORSE).write(tmp_path / "worse")

    found = compared(reference, same, worse)

    assert [each.verdict for each in found.candidates] == ["not-shown", "regressed"]
    assert found.exit_code == 1
    every = [each for candidate in found.candidates for each in candidate.changes]
    assert found.judged == sum(each.metric not in ("ttft_p95", "ttft_p99") for each in every)


def test_too_few_streams_for_a_percentile_say_how_many_it_takes(reference: Path, tmp_path: Path) -> None:
    """Sixty streams bound no p95: it takes no part in the family, and names the number."""
    found = compared(reference, simulated(2).write(tmp_path / "other"))

    p95 = change(found, "ttft_p95")
    assert (p95.verdict, p95.streams_needed) == ("not-shown", 72)
    assert p95.reason == "too few streams to show any change; about 72 streams on each side would decide"
    assert verdict_in_words(p95) == "needs 72"
    assert "anything" not in change_in_words(p95)
    assert in_order([p95, change(found, "ttft_p50")])[0].metric == "ttft_p50"
    assert "need more streams" in found.candidates[0].reason


@pytest.mark.parametrize("metric", ["itl_p50", "tokens_per_second", "goodput"])
def test_what_may_be_an_artefact_is_no_improvement(metric: str, tmp_path: Path) -> None:
    """Tokens that come together have gaps of 0, and rates follow the arrivals: changed, and why it is no gain."""
    calm, bunched = Made(plan()).phases(), Made(plan()).phases()
    for number in range(50):
        begin = 10_100 + 190 * number
        calm.stream(begin, [begin + 100 + 20 * token for token in range(5)])
        for at in (begin, begin + 50, begin + 90):
            bunched.stream(at, [at + 100] * 5)
    runs = [made.write(tmp_path / name) for name, made in (("calm", calm), ("bunched", bunched))]

    found = next(
        each for each in compared(*runs).candidates[0].changes if (each.metric, each.phase) == (metric, "wifi")
    )

    assert found.verdict == "changed"
    assert found.reason == f"no improvement by itself: {METRICS[metric].why_no_gain}"


def test_sides_have_names_that_tell_them_apart(tmp_path: Path) -> None:
    """As few of the last parts of their directories as that takes."""
    runs = [simulated(seed, streams=12).write(tmp_path / name / "gate") for seed, name in enumerate(("a", "b", "c"), 1)]

    found = compared(*runs)

    assert [found.reference_name, *(each.name for each in found.candidates)] == ["a/gate", "b/gate", "c/gate"]
    assert telling_names([tmp_path / "x" / "before", tmp_path / "x" / "after"]) == ["before", "after"]


def test_pooled_runs_count_as_one(tmp_path: Path) -> None:
    """Each side has the streams of all its runs; what changes too little for single runs is shown by the pools."""
    before = [simulated(seed, SAME, streams=50).write(tmp_path / f"before-{seed}") for seed in range(4)]
    after = [
        simulated(10 + seed, Change(latency=1.7), streams=50).write(tmp_path / f"after-{seed}") for seed in range(4)
    ]

    single = compared(before[0], after[0])
    pooled = compare_runs(request([], before, after, (), None))

    assert change(pooled, "ttft_p50").streams > 3.5 * change(single, "ttft_p50").streams
    assert change(pooled, "ttft_p50").verdict == "regressed"
    assert len(pooled.reference) == len(pooled.candidates[0].runs) == 4


def test_runs_of_one_pool_that_differ_are_named(reference: Path, tmp_path: Path) -> None:
    """Intervals are of streams: that one run of a side is unlike the others is said, on either side."""
    same, worse = simulated(2).write(tmp_path / "same"), simulated(3, WORSE).write(tmp_path / "worse")

    of_candidate = compare_runs(request([], [reference], [same, worse], (), None)).candidates[0].remarks
    of_reference = compare_runs(request([], [same, worse], [reference], (), None)).remarks

    for (told,) in (of_candidate, of_reference):
        assert "worse differs from" in told
        assert "same on the same side: ttft_p50 during wifi" in told


def test_a_phase_that_only_one_has_is_named(reference: Path, tmp_path: Path) -> None:
    """A run that was killed before a phase is compared where it can be, and is then undecided."""
    killed = simulated(2)
    killed.made.outcome = {"how": "interrupted", "detail": "killed"}
    killed.made.records = [each for each in killed.made.records if getattr(each, "name", "") not in ("wifi", "drain")]

    (found,) = compared(reference, killed.write(tmp_path / "killed"), despite="unfinished").candidates

    assert any(each.startswith("phase wifi is in ") for each in found.remarks)
    assert found.verdict == "undecided"


def test_a_run_that_goes_on_is_refused(reference: Path, tmp_path: Path) -> None:
    """As long as the process lives that made the directory."""
    going = simulated(2)
    going.made.outcome = {"how": "interrupted", "detail": "killed before its outcome was recorded"}
    run = going.write(tmp_path / "going")
    held = os.open(run, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_SH)

    with pytest.raises(SpecError, match="going has not ended yet"):
        compared(reference, run)
    os.close(held)


def test_runs_of_one_pool_must_be_comparable(reference: Path, tmp_path: Path) -> None:
    """A run of another experiment within a side is refused, too."""
    others = [simulated(seed, delay=delay).write(tmp_path / delay) for seed, delay in ((2, "30ms"), (3, "90ms"))]

    with pytest.raises(SpecError, match="30ms -> 90ms"):
        compare_runs(request([], [reference, others[1]], [others[0]], (), None))


MATRIX = TEXT.format(objectives=json.dumps(list(OBJECTIVES)), seed=1, delay="30ms") + (
    "matrix: {faults.wifi.netem.delay: [30ms, 60ms]}\n"
)


def matrix(folder: Path, variants: dict[str, Simulated]) -> Path:
    """The folder of a matrix in which these variants were run."""
    folder.mkdir()
    (folder / "experiment.yaml").write_text(MATRIX)
    (folder / "outcome.json").write_text('{"how": "finished", "detail": ""}')
    for name, run in variants.items():
        run.write(folder / name)
    return folder


def test_matrices_are_compared_variant_by_variant(tmp_path: Path) -> None:
    """Each with the one of its name; the change stands in the variant that has it."""
    before = matrix(tmp_path / "before", {"delay=30ms": simulated(1), "delay=60ms": simulated(2, delay="60ms")})
    after = matrix(tmp_path / "after", {"delay=30ms": simulated(3), "delay=60ms": simulated(4, WORSE, delay="60ms")})

    found = compared(before, after)

    assert {each.variant for each in found.candidates[0].changes if each.verdict == "regressed"} == {"delay=60ms"}
    assert found.exit_code == 1


def test_a_missing_variant_is_named(tmp_path: Path) -> None:
    """What was not run in one of them cannot be judged: undecided."""
    before = matrix(tmp_path / "before", {"delay=30ms": simulated(1), "delay=60ms": simulated(2, delay="60ms")})
    after = matrix(tmp_path / "after", {"delay=30ms": simulated(3)})

    (candidate,) = compared(before, after).candidates

    assert candidate.verdict == "undecided"
    assert "variant delay=60ms is in" in candidate.reason
    assert any("delay=60ms was not run" in each for each in candidate.remarks)


def test_a_matrix_and_a_run_do_not_fit(reference: Path, tmp_path: Path) -> None:
    """The refusal says which variant to take."""
    whole = matrix(tmp_path / "whole", {"delay=30ms": simulated(2)})

    with pytest.raises(SpecError, match=r"compare it with one of the variants: chaoskit compare \S+reference \S+=30ms"):
        compared(reference, whole)


def test_runs_without_a_plan_are_compared(tmp_path: Path) -> None:
    """Records alone have one phase, and the headline metrics."""
    runs = []
    for seed in (1, 2):
        made = simulated(seed).made
        made.plan, made.records = None, [each for each in made.records if type(each).__name__ != "Phase"]
        runs.append(made.write(tmp_path / str(seed)))

    found = compared(*runs)

    assert {each.phase for each in found.candidates[0].changes} == {"run"}
    assert found.exit_code == 0


def test_goodput_of_other_objectives_is_not_judged(reference: Path, tmp_path: Path) -> None:
    """Bounds may change between releases; what counts as good is then not the same."""
    other = simulated(2, objectives=("ttft_p50 < 1ms during wifi",)).write(tmp_path / "other")

    found = compared(reference, other)

    assert "other objectives" in change(found, "goodput").reason
    assert shown(found.candidates[0]) == []


def test_one_comparison_has_one_count(reference: Path, tmp_path: Path) -> None:
    """What could not be judged is not counted among what shows nothing."""
    other = simulated(2, objectives=("ttft_p50 < 4s during wifi",)).write(tmp_path / "other")

    found = compared(reference, other)

    assert found.judged < len(found.candidates[0].changes)
    assert found.candidates[0].reason.startswith(f"none of {found.judged} comparisons shows one")
    assert judged_in_words(found).startswith(f"{found.judged} comparisons at once")


def test_a_result_reads_back(reference: Path, tmp_path: Path) -> None:
    """Its JSON has finite numbers only, and is the same result again."""
    found = compared(reference, simulated(2, WORSE).write(tmp_path / "worse"))

    assert RunComparison.model_validate_json(found.model_dump_json()) == found
    json.loads(found.model_dump_json(), parse_constant=lambda name: pytest.fail(name))


def test_every_kind_of_difference_can_be_accepted(reference: Path, tmp_path: Path) -> None:
    """--despite takes all of them at once."""
    assert compared(reference, simulated(2).write(tmp_path / "b"), despite=",".join(KINDS)).exit_code == 0
