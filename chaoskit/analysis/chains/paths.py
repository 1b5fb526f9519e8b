"""Says what slow chains and late first tokens waited for, and how much longer than usual.

Slow chains are the slowest tenth of a phase, one at the least: averages hide what makes a tail. "Usual" is the mean of
all chains of the reference phase, place by place.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from chaoskit.analysis.chains.actions import Action
from chaoskit.analysis.chains.chain_results import LateCause, LateFirstTokens, PathShare
from chaoskit.analysis.chains.critical_path import Part, critical_path
from chaoskit.analysis.chains.places import Place, added, stays, total_by_place
from chaoskit.analysis.chains.trees import Node
from chaoskit.analysis.findings import Evidence
from chaoskit.analysis.statistics.quantiles import MS, nearest_rank
from chaoskit.analysis.streams.phase_samples import PhaseSamples
from chaoskit.records import span_names
from chaoskit.records.jsonl import FILES
from chaoskit.records.spans import Span

SLOW = 0.1
"""Of the chains of a phase."""
_LATE = 95  # percentile of the reference phase
_MOST_STREAMS = 5
_AS_LONG = 0.9  # a handshake that was delayed as much as the rest shows a slow link, not a slow handshake
_TICK = 1000  # ns: less is no cause of anything
Means = Mapping[Place, float]


def slow_chains(sample: PhaseSamples, actions: Mapping[int, Action]) -> list[Action]:
    """The slowest tenth of the chains of a phase, the slowest first; one that failed, by when it did."""
    times = {number: value for number, value in sample.times.get("toolchain", []) if _root(actions, number) is not None}
    waited = {each: _until_failure(actions[each]) if value == math.inf else value for each, value in times.items()}
    ordered = sorted(waited.items(), key=lambda pair: (-pair[1], pair[0]))
    return [actions[number] for number, _ in ordered[: math.ceil(SLOW * len(ordered))]]


def chain_parts(action: Action) -> list[Part]:
    """The critical path of a chain: to the end of its last hop; of one that failed, to the end of the request."""
    if action.root is None:
        return []
    end = action.end if action.request.completion == "complete" else action.request.ended
    return critical_path(action.root, end or action.request.ended)


def usual_path(sample: PhaseSamples | None, actions: Mapping[int, Action]) -> Means | None:
    """The mean time at each place, of all chains of a phase that ended; None without any."""
    numbers = [number for number, value in sample.times.get("toolchain", []) if value != math.inf] if sample else []
    return _mean(_by_place(chain_parts(actions[number]), actions[number]) for number in _known(numbers, actions))


def path_shares(slow: Sequence[Action], usual: Means | None) -> tuple[PathShare, ...]:
    """What these chains waited for, the longest first."""
    means = _mean(_by_place(chain_parts(action), action) for action in slow) or {}
    total = sum(means.values())
    return tuple(
        PathShare(
            place=place.sentence,
            host=place.host,
            cause=place.cause,
            link=place.link or (),
            mean_ms=mean / MS,
            share=mean / total,
            usual_ms=None if usual is None else usual.get(place, 0.0) / MS,
            added_ms=None if usual is None else (mean - usual.get(place, 0.0)) / MS,
        )
        for place, mean in sorted(means.items(), key=lambda item: (-item[1], item[0].sentence))
        if mean > 0
    )


def usual_first_token(sample: PhaseSamples | None, actions: Mapping[int, Action]) -> tuple[float | None, Means]:
    """The 95th percentile of the first-token latencies of a phase, and the mean time at each place on the way to it."""
    pairs = sample.times.get("ttft", []) if sample else []
    if not pairs:
        return None, {}
    numbers = [number for number, value in pairs if value != math.inf]
    means = _mean(_to_first_token(actions[number]) for number in _known(numbers, actions))
    return nearest_rank(sorted(value for _, value in pairs), _LATE), means or {}


def late_first_tokens(
    sample: PhaseSamples, actions: Mapping[int, Action], usual: tuple[float | None, Means]
) -> LateFirstTokens:
    """Why the first tokens of a phase were late, one cause for each."""
    beyond, means = usual
    late = [number for number, value in sample.times.get("ttft", []) if beyond is not None and value > beyond]
    causes: dict[Place, list[tuple[int, float]]] = defaultdict(list)
    for number in sorted(late):
        found = _cause(actions.get(number), means)
        if found is not None:
            causes[found[0]].append((number, found[1]))
    ordered = sorted(causes.items(), key=lambda item: (-len(item[1]), item[0].sentence))
    return LateFirstTokens(
        late=len(late),
        beyond_ms=None if beyond is None else beyond / MS,
        causes=tuple(
            LateCause(
                place=place.sentence,
                host=place.host,
                cause=place.cause,
                link=place.link or (),
                requests=len(those),
                mean_ms=sum(length for _, length in those) / len(those) / MS,
                streams=tuple(number for number, _ in those[:_MOST_STREAMS]),
            )
            for place, those in ordered
        ),
        unknown=len(late) - sum(map(len, causes.values())),
        evidence=Evidence(file=FILES[Span], count=len(late), worst=tuple(sorted(late)[:_MOST_STREAMS])),
    )


def _cause(action: Action | None, usual: Means) -> tuple[Place, float] | None:
    """The place that took the longest beyond its usual time, and by how much; of a link and its handshake the link."""
    if action is None:
        return None
    if action.admission == "shed":
        host = action.workflow.host if action.workflow else "target"
        return Place(host, "rejected"), 0.0
    found = added(_to_first_token(action), usual)
    place = next(iter(found), None)
    if place is not None and place.cause == "connecting":
        way = place._replace(cause="network")
        place = way if found.get(way, 0.0) > _AS_LONG * found[place] else place
    return (place, found[place]) if place is not None and found[place] > _TICK else None


def _to_first_token(action: Action) -> dict[Place, int]:
    """Where the time went until the first token; where none came, until the end of the request."""
    root, request = action.root, action.request
    if root is None:
        return {}
    if request.first_token is None:
        return _by_place(critical_path(root, request.ended), action)
    return _by_place(critical_path(_until_first_tokens(root), request.first_token), action)


def _until_first_tokens(root: Node) -> Node:
    """The same tree, each span that tells of its first token ending with it."""
    made: dict[int, Node] = {}
    for node in reversed([*root.walk()]):
        children = tuple(made[id(child)] for child in node.children)
        first = node.span.attributes.get(span_names.FIRST_TOKEN) if node.span else None
        end = min(node.end, node.begin + first) if isinstance(first, int) and first >= 0 else node.end
        made[id(node)] = Node(node.begin, end, node.span, children)
    return made[id(root)]


def _by_place(parts: Iterable[Part], action: Action) -> dict[Place, int]:
    return total_by_place(stays(parts, action.request, action.front, action.stops))


def _mean(paths: Iterable[Mapping[Place, int]]) -> dict[Place, float] | None:
    sums: dict[Place, int] = defaultdict(int)
    count = 0
    for path in paths:
        count += 1
        for place, length in path.items():
            sums[place] += length
    return {place: length / count for place, length in sums.items()} if count else None


def _known(numbers: Iterable[int], actions: Mapping[int, Action]) -> list[int]:
    return [number for number in numbers if _root(actions, number) is not None]


def _until_failure(action: Action) -> int:
    return action.request.ended - action.request.scheduled


def _root(actions: Mapping[int, Action], number: int) -> Node | None:
    return actions[number].root if number in actions else None
