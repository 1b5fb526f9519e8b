"""How right the causes of stalls, interruptions and late first tokens are, where the truth is known.

    python tests/bench/attribution.py [--quick] [--keep FOLDER] [--wrong]

Every kind of fault, with a server that pauses or is stopped, a client that is stopped or busy, nginx in between, and
several at once; in guests, in virtual time. The truth is what the exact method says: by the reference server's stamps,
and by what the lab's hosts saw. What is judged sees none of these, as with a server of somebody else: it has the
capture of the packets and TCP_INFO of the probe's own sockets, or the latter alone. Rules may be mended by looking at
the runs of the seeds "tune"; the figures that count are those of the seeds "test".

Precision: of those that got a cause, how many have it. Recall: of those that have it, how many got it. Where something
in between holds text back, `server` is right as well, since that is everything behind the far end of the connection.
`shared`: no cause has seven tenths of the stall; it is not counted, nor is what the exact method does not know.

What the network did in its stalls is judged by the experiment's faults: of a phase with one fault that is the truth
(`KINDS`), of one with several what the captures at the routers tell of each packet. Stalls that touch another phase are
not counted.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple, get_args

sys.path.insert(0, str(Path(__file__).parent))

from attribution_score import KIND_LEVELS, LEVELS, Judged, JudgedKind, Kind, judged, judged_kinds
from attribution_worlds import KINDS, WORLDS, World

from chaoskit.clock import RealClock
from chaoskit.substrate import kernel_build, kernel_cache, uml
from chaoskit.substrate.running import Command
from chaoskit.units import Duration

SEEDS = {"tune": (1,), "test": (1001, 1002)}
QUICK = {"tune": (1,)}
NETWORK_KINDS = ("loss", "reorder", "delay", "queueing", "rate")
CAUSES = ("network", "server", "between", "client")
TRUTHS = (*CAUSES, "shared", "unknown")
SAID = (*CAUSES, "unknown", "no stall")
ENDED = (0, 1, 5)  # an objective, or a fault that is not as asked for, is not the question here
LIMIT = Duration.parse("600s")
GUEST = Path(__file__).with_name("attribution_guest.py")


class Run(NamedTuple):
    """One run of a world."""

    world: World
    seeds: str
    seed: int


def main() -> None:
    """Run, judge and print."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--quick", action="store_true", help="one seed, in virtual time only")
    words.add_argument("--keep", type=Path, help="where the runs are kept; those that are there are not run again")
    words.add_argument("--jobs", type=int, default=2, help="guests at a time")
    words.add_argument("--worlds", nargs="*", choices=[each.name for each in WORLDS], help="default: all")
    words.add_argument("--wrong", action="store_true", help="list what is judged wrong, of the seeds tune")
    asked = words.parse_args()
    seeds = QUICK if asked.quick else SEEDS
    worlds = [each for each in WORLDS if each.name in (asked.worlds or [one.name for one in WORLDS])]
    runs = [
        Run(world, name, seed)
        for world in worlds
        if world.is_virtual or not asked.quick
        for name, numbers in seeds.items()
        for seed in (numbers if world.is_virtual else numbers[:1])
    ]
    with tempfile.TemporaryDirectory(prefix="chaoskit-") as folder:
        kept = (asked.keep or Path(folder)).resolve()
        with ProcessPoolExecutor(asked.jobs) as pool:
            found = dict(zip(runs, pool.map(partial(_judged, _kernel(), kept), runs), strict=True))
    for name in seeds:
        _print_figures(name, {run: each for run, (each, _) in found.items() if run.seeds == name})
        _print_kinds(name, [each for run, (_, every) in found.items() if run.seeds == name for each in every])
    if asked.wrong:
        _print_wrong({run: each for run, (each, _) in found.items() if run.seeds == "tune"})


def _kernel() -> uml.GuestKernel:
    place = kernel_cache.cache()
    built = kernel_cache.newest(place)
    return uml.find(built.path if built else kernel_build.build(place, print))


def _judged(kernel: uml.GuestKernel, kept: Path, run: Run) -> tuple[list[Judged], list[JudgedKind]]:
    made = _made(kernel, kept, run)
    return list(judged(made)), list(judged_kinds(made, KINDS))


def _made(kernel: uml.GuestKernel, kept: Path, run: Run) -> Path:
    """The run directory, once its guest has ended."""
    folder = kept / f"{run.world.name.replace(' ', '-')}-{run.seed}"
    out = folder / "run"
    if (out / "outcome.json").exists():
        return out
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was broken off
    folder.mkdir(parents=True)
    file = run.world.write(folder, run.seed)
    argv = (sys.executable, str(GUEST), str(file), str(out), str(run.seed), *run.world.stops)
    options = uml.virtual_time(run.seed) if run.world.is_virtual else ()
    guest = uml.Uml(kernel, options=options).launch(Command(argv, folder, LIMIT), RealClock())
    if guest.finish() not in ENDED:
        raise RuntimeError(guest.log.read_text())
    return out


def _print_figures(name: str, found: dict[Run, list[Judged]]) -> None:
    """The matrices, and where what is right and wrong was made."""
    for kind in get_args(Kind):
        of_kind = [each for one in found.values() for each in one if each.kind == kind]
        for level, title in enumerate(LEVELS):
            print(f"\n{len(of_kind)} {kind}s, seeds {name}, by {title}\n")
            _print(("truly", *SAID, "recall"), _matrix(of_kind, level))
    for kind in get_args(Kind):
        print(f"\n{kind.capitalize()}s by where they were made, seeds {name}: right / wrong / unknown\n")
        _print(("", f"{kind}s", *LEVELS), _places(found, kind))


def _matrix(of_kind: Sequence[Judged], level: int) -> Iterator[tuple[object, ...]]:
    """A row for each truth, and one with the precision of what is said."""
    counts = Counter((each.truth, each.said[level]) for each in of_kind)
    for truth in TRUTHS:
        row = [counts[truth, said] for said in SAID]
        right = sum(counts[truth, said] for said in SAID if _is_right(truth, said))
        if sum(row):
            yield (truth, *row, _share(right, sum(row)) if truth in CAUSES else "")
    said_of = {said: {truth: counts[truth, said] for truth in CAUSES} for said in CAUSES}
    rights = {said: sum(count for truth, count in of.items() if _is_right(truth, said)) for said, of in said_of.items()}
    yield ("precision", *(_share(rights[said], sum(said_of[said].values())) for said in CAUSES), "", "", "")


def _places(found: dict[Run, list[Judged]], kind: Kind) -> Iterator[tuple[object, ...]]:
    """A row for each phase of each world."""
    by_place: dict[str, list[Judged]] = {}
    for run, every in found.items():
        for each in every:
            if each.kind == kind and each.truth in CAUSES:
                by_place.setdefault(f"{run.world.name}: {each.phase}", []).append(each)
    for place, every in by_place.items():
        columns = []
        for level in range(len(LEVELS)):
            unknown = sum(each.said[level] not in CAUSES for each in every)
            right = sum(_is_right(each.truth, each.said[level]) for each in every)
            columns.append(f"{right} / {len(every) - right - unknown} / {unknown}")
        yield (place, len(every), *columns)


def _print_kinds(name: str, every: Sequence[JudgedKind]) -> None:
    """What the network did in its stalls, by what is said; and how often what is said to be exact is wrong."""
    for level, title in enumerate(KIND_LEVELS):
        print(f"\n{len(every)} stalls of the network, seeds {name}, by {title}\n")
        rows = []
        for phase in dict.fromkeys(each.phase for each in every):
            own = [each for each in every if each.phase == phase]
            counts = Counter(each.said[level] for each in own)
            wrong = [each for each in own if each.said[level] and each.said[level] not in each.truth]
            truth = " or ".join(KINDS[phase]) or "each packet"
            right = len(own) - len(wrong) - counts[""]
            sure = sum(each.sure[level] for each in wrong)
            rows.append(
                (f"{phase}: {truth}", *(counts[kind] for kind in NETWORK_KINDS), counts[""], right, len(wrong), sure)
            )
        _print(("truly", *NETWORK_KINDS, "not told", "right", "wrong", "wrong, said exact"), rows)


def _is_right(truth: str, said: str) -> bool:
    return said == truth or (truth == "between" and said == "server")


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2f}" if whole else ""


def _print(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A Markdown table."""
    print(f"| {' | '.join(head)} |\n|---|{'--:|' * (len(head) - 1)}")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |")


def _print_wrong(found: dict[Run, list[Judged]]) -> None:
    for run, every in found.items():
        for each in every:
            if each.truth in CAUSES and not all(_is_right(each.truth, said) for said in each.said):
                print(f"{run.world.name} {run.seed} {each.phase}: {each.kind} of stream {each.stream} at {each.begin}")
                print(f"  {each.truth}, said {each.said}")
                for why in each.why:
                    print(f"  - {why}")


if __name__ == "__main__":
    main()
