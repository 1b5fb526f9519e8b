"""Parses Caddyfiles to lines of words with blocks, snippets and imports in place.

The rules are those of https://caddyserver.com/docs/caddyfile/concepts: words are separated by blanks, a `{` at the end
of a line opens a block, `#` begins a comment at the start of a word, and quotes, backticks and heredocs make one word.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from chaoskit.errors import SpecError
from chaoskit.timeouts.files import Files

_MAX_DEPTH, _MAX_FILES, _MAX_LINES = 40, 100, 20_000
_HEREDOC = re.compile(r"<<([A-Za-z0-9_-]+)\n")
_VARIABLE = re.compile(r"\{\$([A-Za-z0-9_]+)(?::([^}]*))?\}")


@dataclass(frozen=True)
class Line:
    """The words of one line, and the lines of its block; None where it has none."""

    words: tuple[str, ...]
    file: str
    line: int
    block: tuple[Line, ...] | None = None

    @property
    def name(self) -> str:
        """Its first word."""
        return self.words[0] if self.words else ""

    @property
    def place(self) -> str:
        """`Caddyfile:7`."""
        return f"{self.file}:{self.line}"

    def all(self, name: str) -> Iterator[Line]:
        """The lines of its block that begin with this word."""
        return (each for each in self.block or () if each.name == name)


def parse(path: str, files: Files) -> tuple[Line, ...]:
    """The lines of this file. Raises SpecError."""
    return tuple(_Parser(files).file(path, 0))


@dataclass
class _Parser:
    files: Files
    snippets: dict[str, tuple[Line, ...]] = field(default_factory=dict)
    read: int = 0
    lines: int = 0

    def file(self, path: str, depth: int) -> Iterator[Line]:
        self.read += 1
        if self.read > _MAX_FILES or depth > _MAX_DEPTH:
            raise SpecError(f"{path}: imports too many files")
        text = _VARIABLE.sub(lambda found: found[2] or "", self.files.read(path))
        yield from self._block(_rows(text, path), path, depth, 0)

    def _block(self, rows: Iterator[tuple[list[str], int]], path: str, depth: int, opened: int) -> Iterator[Line]:
        if depth > _MAX_DEPTH:
            raise SpecError(f"{path}:{opened}: nested too deeply")
        for words, number in rows:
            self.lines += 1
            if self.lines > _MAX_LINES:
                raise SpecError(f"{path}: more than {_MAX_LINES} lines")
            if words == ["}"]:
                if not opened:
                    raise SpecError(f"{path}:{number}: unexpected }}")
                return
            line = Line(tuple(words), path, number)
            if words[-1] == "{":
                line = replace(line, words=line.words[:-1], block=tuple(self._block(rows, path, depth + 1, number)))
            yield from self._expanded(line, depth)
        if opened:
            raise SpecError(f"{path}:{opened}: a block without its end")

    def _expanded(self, line: Line, depth: int) -> Iterator[Line]:
        """The line, or what it imports; nothing of a snippet's own definition."""
        name = line.name
        if name.startswith("(") and name.endswith(")") and line.block is not None:
            self.snippets[name[1:-1]] = line.block
        elif name == "import" and len(line.words) > 1:
            if line.words[1] in self.snippets:
                found = self.snippets[line.words[1]]
                self.lines += len(found)
                yield from found
                return
            pattern = posixpath.normpath(posixpath.join(posixpath.dirname(line.file), line.words[1]))
            for each in self.files.matching(pattern):
                yield from self.file(each, depth + 1)
        else:
            yield line


def _rows(text: str, path: str) -> Iterator[tuple[list[str], int]]:
    """The words of each line that has some, with its number."""
    words: list[str] = []
    number = first = 1
    at = 0
    while at < len(text):
        here = text[at]
        if here == "\n":
            if words:
                yield words, first
            words, number, at = [], number + 1, at + 1
        elif here in " \t\r":
            at += 1
        elif text.startswith("\\\n", at):
            number, at = number + 1, at + 2
        elif here == "#":
            at = (text.find("\n", at) + len(text) + 1) % (len(text) + 1)
        else:
            if not words:
                first = number
            word, after = _word(text, at, f"{path}:{number}")
            words.append(word)
            number += text.count("\n", at, after)
            at = after
    if words:
        yield words, first


def _word(text: str, at: int, place: str) -> tuple[str, int]:
    if text[at] in '"`':
        return _quoted(text, at, place)
    if found := _HEREDOC.match(text, at):
        end = re.compile(rf"^[ \t]*{found[1]}(?![^\s])", re.MULTILINE).search(text, found.end())
        if end is None:
            raise SpecError(f"{place}: a heredoc without its end")
        return text[found.end() : end.start()], end.end()
    end_of_word = next((at + n for n, each in enumerate(text[at : at + 10_000]) if each in " \t\r\n"), None)
    after = min(at + 10_000, len(text)) if end_of_word is None else end_of_word
    return text[at:after], after


def _quoted(text: str, at: int, place: str) -> tuple[str, int]:
    quote, start, word = text[at], at + 1, []
    at = start
    while at < len(text) and text[at] != quote:
        step = 2 if text[at] == "\\" and quote == '"' else 1
        word.append(text[at : at + step][-1])
        at += step
    if at >= len(text):
        raise SpecError(f"{place}: a quotation without its end")
    return "".join(word), at + 1
