"""Finds the critical path of a request: what it waited for at each moment, from its begin to an end.

It is walked backwards. At each moment the path is in the child that had answered last, and before that one in the
child that had answered last before it began; where no child was waited for, in the span itself. So the parts of a path
lie side by side without gaps, and their lengths add up to the whole exactly.
"""

from __future__ import annotations

from typing import NamedTuple

from chaoskit.analysis.chains.trees import Node


class Part(NamedTuple):
    """A stretch of the path that is spent in a span itself, not in those below it; stamps in ns."""

    node: Node
    parent: Node | None
    begin: int
    end: int

    @property
    def length(self) -> int:
        """In ns."""
        return self.end - self.begin


class _Frame:
    """A span on the way, and what of it is left to explain: from `floor` to `at`."""

    def __init__(self, node: Node, parent: Node | None, floor: int, at: int) -> None:
        self.node, self.parent, self.floor, self.at = node, parent, floor, at
        self._pending = sorted(
            (
                (min(child.end, at), _has_answered(child), child.begin, number)
                for number, child in enumerate(node.children)
            ),
        )

    def next_child(self) -> tuple[Node, int] | None:
        """The child that answered last up to `at`, and when."""
        while self._pending:
            end, _, begin, number = self._pending.pop()
            if begin < end <= self.at and end > self.floor:
                return self.node.children[number], end
        return None


def critical_path(root: Node, end: int) -> list[Part]:
    """The parts from the root's begin to `end`, in order. Spans that are still open then are cut."""
    parts: list[Part] = []
    frames = [_Frame(root, None, root.begin, max(root.begin, end))]
    while frames:
        frame = frames[-1]
        found = frame.next_child()
        if found is None:
            _add(parts, frame, frame.floor)
            frames.pop()
            if frames:
                frames[-1].at = frame.floor
            continue
        child, answered = found
        _add(parts, frame, answered)
        frames.append(_Frame(child, frame.node, max(child.begin, frame.floor), answered))
    parts.reverse()
    return parts


def _add(parts: list[Part], frame: _Frame, begin: int) -> None:
    if begin < frame.at:
        parts.append(Part(frame.node, frame.parent, begin, frame.at))
        frame.at = begin


def _has_answered(child: Node) -> bool:
    """Of two that end together, as a hedge and its winner, the one without an error."""
    return child.span is None or child.span.error is None
