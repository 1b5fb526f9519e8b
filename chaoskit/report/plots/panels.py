"""Draws the panels of a plot: each function fills one pair of axes from the tables of a run."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, PercentFormatter
from numpy.typing import NDArray

from chaoskit.analysis.formatting import format_level
from chaoskit.analysis.statistics.ecdf import Ecdf, of_times, points_of
from chaoskit.analysis.tables import distribution_samples as samples
from chaoskit.analysis.tables.run_tables import RunTables
from chaoskit.report.plots.styles import CAUSES, DASHES, FAULT, MARKERS, PHASES, TOKEN, plain
from chaoskit.units import counted

_MS, _SECOND = 1e6, 1e9
_POINTS = 600  # of the curves of first tokens
_GAP_POINTS = 120  # of those of gaps, each of which needs an interval of its own
_LEAST_MS = 0.1  # a logarithmic axis has no zero: gaps inside one read stand here
_FEW = 60  # streams whose tokens and stalls can be told apart
_BUCKETS = 120  # of a run's time
_INDEPENDENT_GROUPS = "groups that shared a connection are independent"
_MANY = 5000  # points that are a picture in an SVG file


def first_tokens(axes: Axes, tables: RunTables, level: float) -> None:
    """How first-token latencies are distributed, the phases side by side."""
    found = {name: times for name in _names(tables) if (times := samples.first_tokens(tables, name)).count}
    reached = [times.reached for times in found.values() if len(times.reached)]
    if not reached:
        return _nothing(axes, "First token", "no first token came")
    points = _points(np.concatenate(reached), _POINTS)
    curves = {name: of_times(times, points, (1 - level) / 2) for name, times in found.items()}
    labels = {name: f"{name}, {counted(times.count, 'stream')}" for name, times in found.items()}
    _curves(axes, points, curves, labels)
    axes.set_title("First token")
    of_whole = f" at each point, {_INDEPENDENT_GROUPS}" if tables.groups.of else ", of the whole curve"
    axes.set_xlabel(f"ms since the request was due; bands: {format_level((1 - level) / 2)}{of_whole}")
    axes.set_ylabel("share of streams")
    return None


def gaps(axes: Axes, tables: RunTables, level: float) -> None:
    """How gaps between tokens are distributed, the phases side by side."""
    found = {name: sample for name in _names(tables) if len((sample := samples.gaps(tables, name)).lengths)}
    if not found:
        return _nothing(axes, "Gaps between tokens", "there are no gaps")
    each = [points_of(np.maximum(sample.lengths / _MS, _LEAST_MS), _GAP_POINTS) for sample in found.values()]
    points = _points(np.concatenate(each), _GAP_POINTS)
    tail = (1 - level) / 2
    curves = {name: sample.curve(points * _MS, tail) for name, sample in found.items()}
    labels = {name: f"{name}, {counted(len(sample.lengths), 'gap')}" for name, sample in found.items()}
    _curves(axes, points, curves, labels)
    stall = tables.stall_threshold_ns / _MS
    if stall < points[-1]:
        axes.axvline(stall, color="#4D4D4D", linewidth=0.8, linestyle=":")
        place = ("data", "axes fraction")
        axes.annotate("longer: a stall", (stall, 1), xycoords=place, fontsize=7, color="#4D4D4D", va="bottom")
    axes.set_title("Gaps between tokens")
    independent = _INDEPENDENT_GROUPS if tables.groups.of else "streams are independent"
    axes.set_xlabel(f"ms; bands: {format_level(tail)} at each point, {independent}")
    axes.set_ylabel("share of gaps")
    return None


def streams(axes: Axes, tables: RunTables) -> None:
    """Each stream a row in time: its tokens, and its stalls by cause."""
    rows, tokens, stalls = tables.streams, tables.tokens, tables.stalls
    axes.set_title("Streams")
    shade_faults(axes, tables)
    order = np.argsort(rows["scheduled_ns"], kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    is_few = len(rows) <= _FEW
    begin, end = rows["scheduled_ns"] / _SECOND, rows["end_ns"] / _SECOND
    lines = [[(one, row), (other, row)] for one, other, row in zip(begin, end, place, strict=True)]
    axes.add_collection(LineCollection(lines, colors="#D9D9D9", linewidths=_width(len(rows), 0.5), rasterized=True))
    numbers = rows["stream"]
    y: Any = place[np.searchsorted(numbers, tokens["stream"])] if len(tokens) else []
    marker, size = ("|", 4.0) if is_few else (",", 1.0)
    axes.plot(tokens["at_ns"] / _SECOND, y, marker, color=TOKEN, markersize=size, markeredgewidth=0.6, rasterized=True)
    for cause, color in CAUSES.items():
        here = stalls["cause"] == cause
        own = place[np.searchsorted(numbers, stalls["stream"][here])] if here.any() else []
        pairs = zip(stalls["begin_ns"][here] / _SECOND, stalls["end_ns"][here] / _SECOND, own, strict=True)
        segments = [[(one, row), (other, row)] for one, other, row in pairs]
        axes.add_collection(LineCollection(segments, colors=color, linewidths=_width(len(rows), 0.9), rasterized=True))
        for segment in segments if is_few else ():
            (one, row), (other, _) = segment
            axes.text((one + other) / 2, row, cause[0].upper(), fontsize=6, ha="center", va="bottom", color=color)
    _legend_of_causes(axes, tables)
    axes.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    axes.yaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set_ylabel("streams, as they were scheduled")
    _time_axis(axes, tables)


def network_panels(tables: RunTables) -> Iterator[tuple[str, str, dict[str, tuple[NDArray[Any], NDArray[Any]]]]]:
    """What the kernel told in time: the title of each panel, its kind of drawing, its samples by their source."""
    tcp, queues = tables.tcp, tables.queues
    senders = {name for name in tcp["seen_by"].tolist() if name != "client"}
    is_handshake = (tcp["seen_by"] == "client") & (tcp["when"] == "connected")
    trips = {name: (tcp["seen_by"] == name) & _known(tcp["rtt_us"]) for name in sorted(senders)}
    trips["client, handshakes"] = is_handshake & _known(tcp["rtt_us"])
    yield "Round trip, ms", "points", _samples(tcp["at_ns"], tcp["rtt_us"], 1 / 1000, trips)
    windows = {name: (tcp["seen_by"] == name) & _known(tcp["cwnd"]) for name in sorted(senders)}
    yield "Congestion window, segments", "points", _samples(tcp["at_ns"], tcp["cwnd"], 1, windows)
    again = {name: _growth(tables, name) for name in sorted(senders)}
    yield "Segments sent again", "bars", {name: pair for name, pair in again.items() if pair[1].any()}
    names = [f"{place} {name}".strip() for place, name in zip(queues["place"], queues["name"], strict=True)]
    is_qdisc = queues["kind"] == "qdisc"
    of_queue = {name: (np.array(names, dtype=object) == name) & is_qdisc for name in dict.fromkeys(names)}
    yield "Queue backlog, bytes", "line", _samples(queues["at_ns"], queues["backlog_bytes"], 1, of_queue)


def network(axes: Axes, tables: RunTables, title: str, kind: str, found: dict[str, Any]) -> None:
    """One of these panels."""
    shade_faults(axes, tables)
    for (name, (at, values)), color, dash, mark in zip(found.items(), cycle(PHASES), cycle(DASHES), cycle(MARKERS)):
        match kind:
            case "points":
                style: dict[str, Any] = {
                    "marker": mark,
                    "markersize": 3,
                    "linestyle": "none",
                    "markerfacecolor": "none",
                }
                axes.plot(at, values, color=color, label=plain(name), rasterized=len(at) > _MANY, **style)
            case "line":
                axes.plot(at, values, color=color, linestyle=dash, label=plain(name))
            case _:
                edges = np.linspace(0, max(tables.end_ns / _SECOND, 1e-3), _BUCKETS + 1)
                counts, _ = np.histogram(at, edges, weights=values)
                axes.stairs(counts, edges, color=color, label=plain(name), fill=len(found) == 1)
    axes.set_title(title)
    axes.set_ylim(0, axes.get_ylim()[1] * 1.05)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderpad=0)
    _time_axis(axes, tables)


def shade_faults(axes: Axes, tables: RunTables) -> None:
    """Shade the time in which faults were in force."""
    phases = tables.phases
    for begin, cleared, faults in zip(
        phases["ready_ns"].tolist(), phases["cleared_ns"].tolist(), phases["faults"].tolist(), strict=True
    ):
        if faults:
            until = tables.end_ns if cleared is None else cleared
            axes.axvspan(begin / _SECOND, until / _SECOND, color=FAULT, alpha=0.25, linewidth=0, label="_fault")
            axes.annotate(
                plain(faults),
                ((begin + until) / 2 / _SECOND, 1),
                xycoords=("data", "axes fraction"),
                ha="center",
                va="bottom",
                fontsize=7,
                color="#6B6000",
            )


def _legend_of_causes(axes: Axes, tables: RunTables) -> None:
    causes = tables.stalls["cause"].tolist()
    handles = [Line2D([], [], color=TOKEN, marker="|", linestyle="none", label="token")]
    for cause, color in CAUSES.items():
        if count := causes.count(cause):
            name = "held back in between" if cause == "between" else cause
            label = f"{cause[0].upper()}: {counted(count, 'stall')}, {name}"
            handles.append(Line2D([], [], color=color, linewidth=3, label=label))
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=6)


def _time_axis(axes: Axes, tables: RunTables) -> None:
    axes.set_xlim(0, max(tables.end_ns / _SECOND, 1e-3))
    axes.set_xlabel("seconds since the run began")


def _curves(axes: Axes, points: NDArray[np.float64], curves: dict[str, Ecdf], labels: dict[str, str]) -> None:
    for (name, curve), color, dash in zip(curves.items(), cycle(PHASES), cycle(DASHES)):
        if curve.band is not None:
            axes.fill_between(points, *curve.band, step="post", color=color, alpha=0.15, linewidth=0)
        axes.step(points, curve.share, where="post", color=color, linestyle=dash, label=plain(labels[name]))
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if points[-1] < 200 * points[0] else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(points[0], points[-1])
    axes.set_ylim(0, 1.01)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(loc="best")


def _nothing(axes: Axes, title: str, why: str) -> None:
    axes.set_title(title)
    axes.set_axis_off()
    axes.text(0.5, 0.5, why, ha="center", va="center", transform=axes.transAxes)


def _names(tables: RunTables) -> list[str]:
    """The phases, that of reference first."""
    phases = tables.phases
    pairs = dict(zip(phases["phase"].tolist(), phases["is_reference"].tolist(), strict=True))
    return sorted(pairs, key=lambda name: not pairs[name])


def _points(values: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """With one below the first, so that each curve begins at 0."""
    found = points_of(np.maximum(values, _LEAST_MS), most)
    return np.concatenate(([found[0] * 0.9], found, [found[-1] * 1.1]))


def _known(column: NDArray[Any]) -> NDArray[np.bool_]:
    return ~np.ma.getmaskarray(column)


def _samples(
    at: NDArray[Any], values: NDArray[Any], factor: float, chosen: dict[str, NDArray[np.bool_]]
) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """The chosen ones by name, without names that only have zeros."""
    found = {name: (at[here] / _SECOND, np.ma.getdata(values)[here] * factor) for name, here in chosen.items()}
    return {name: pair for name, pair in found.items() if pair[1].any()}


def _growth(tables: RunTables, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """When the sockets of this host were found to have sent segments again, and how many since they were seen last."""
    tcp = tables.tcp
    last: dict[object, int] = {}
    found = [(0.0, 0)]
    rows = zip(
        *(tcp[each].tolist() for each in ("seen_by", "at_ns", "peer_port", "stream", "total_retrans")), strict=True
    )
    for seen_by, at, port, stream, total in rows:
        if seen_by == name and total is not None:
            key = stream if port is None else (port,)
            grown = total - last.get(key, 0) if total >= last.get(key, 0) else total
            last[key] = total
            found.append((at / _SECOND, grown))
    times, counts = zip(*found, strict=True)
    return np.array(times), np.array(counts)


def _width(rows: int, share: float) -> float:
    """The width of a row's line in points: a plot is about 300 points high."""
    return min(4.0, max(0.5, share * 300 / max(rows, 1)))
