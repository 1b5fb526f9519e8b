"""Parses nginx's configuration language to directives with their lines, includes in place.

The rules are those of ngx_conf_read_token in src/core/ngx_conf_file.c: words are separated by blanks, `;` ends a
directive, `{` opens its block, `#` begins a comment at the start of a word, a quoted word ends at its quote, a
backslash escapes, and `${` of a variable opens no block.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from chaoskit.errors import SpecError
from chaoskit.timeouts.files import Files

_MAX_DEPTH, _MAX_FILES, _MAX_DIRECTIVES = 50, 100, 20_000
_BLANKS = " \t\r\n"
_OWN_LANGUAGE = frozenset({"types", "map", "geo", "split_clients", "content_by_lua_block"})  # blocks without directives


@dataclass(frozen=True)
class Directive:
    """One directive; `block` is None where it has no block."""

    name: str
    words: tuple[str, ...]
    file: str
    line: int
    block: tuple[Directive, ...] | None = None

    @property
    def place(self) -> str:
        """`nginx.conf:12`."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class _Token:
    text: str
    line: int
    is_quoted: bool = False


def parse(path: str, files: Files) -> tuple[Directive, ...]:
    """The directives of this file, and of those that it includes. Raises SpecError."""
    return _Parser(files, posixpath.dirname(path)).file(path)


@dataclass
class _Parser:
    """One configuration; includes are relative to the folder of its first file."""

    files: Files
    folder: str
    read: int = 0
    found: int = 0

    def file(self, path: str, depth: int = 0) -> tuple[Directive, ...]:
        self.read += 1
        if self.read > _MAX_FILES or depth > _MAX_DEPTH:
            raise SpecError(f"{path}: includes too many files")
        tokens = _tokens(self.files.read(path), path)
        return tuple(self._block(tokens, path, depth, 0))

    def _block(self, tokens: Iterator[_Token], path: str, depth: int, opened: int) -> Iterator[Directive]:
        """The directives up to the `}` of the block that was opened in that line (0: of the file)."""
        words: list[_Token] = []
        for token in tokens:
            mark = "" if token.is_quoted else token.text
            if mark == "}":
                if words or not opened:
                    raise SpecError(f"{path}:{token.line}: unexpected }}")
                return
            if mark in (";", "{"):
                if not words:
                    raise SpecError(f"{path}:{token.line}: unexpected {mark}")
                yield from self._directive(words, tokens, path, depth, is_block=mark == "{")
                words = []
            else:
                words.append(token)
        if words or opened:
            raise SpecError(f"{path}:{words[0].line if words else opened}: ends within a directive or a block")

    def _directive(
        self, words: list[_Token], tokens: Iterator[_Token], path: str, depth: int, is_block: bool
    ) -> Iterator[Directive]:
        self.found += 1
        if self.found > _MAX_DIRECTIVES:
            raise SpecError(f"{path}: more than {_MAX_DIRECTIVES} directives")
        name, rest = words[0].text, tuple(each.text for each in words[1:])
        if name == "include" and len(rest) == 1 and not is_block:
            for each in self._included(rest[0]):
                yield from self.file(each, depth + 1)
            return
        if depth > _MAX_DEPTH:
            raise SpecError(f"{path}:{words[0].line}: nested too deeply")
        block: tuple[Directive, ...] | None = None
        if is_block and (name in _OWN_LANGUAGE or name.endswith("_by_lua_block")):
            _skip(tokens, path, words[0].line)
            block = ()
        elif is_block:
            block = tuple(self._block(tokens, path, depth + 1, words[0].line))
        yield Directive(name, rest, path, words[0].line, block)

    def _included(self, words: str) -> tuple[str, ...]:
        """The files of an `include`; none where a pattern matches none, or where such a file is not to be had."""
        path = posixpath.normpath(posixpath.join(self.folder, words))
        return self.files.matching(path)


def _skip(tokens: Iterator[_Token], path: str, opened: int) -> None:
    depth = 1
    for token in tokens:
        mark = "" if token.is_quoted else token.text
        depth += (mark == "{") - (mark == "}")
        if not depth:
            return
    raise SpecError(f"{path}:{opened}: a block without its end")


def _tokens(text: str, path: str) -> Iterator[_Token]:
    at, line, end = 0, 1, len(text)
    while at < end:
        here = text[at]
        if here in _BLANKS:
            line += here == "\n"
            at += 1
        elif here == "#":
            at = (text.find("\n", at) + end + 1) % (end + 1)
        elif here in ";{}":
            yield _Token(here, line)
            at += 1
        else:
            word, after = _quoted(text, at, path, line) if here in "\"'" else _plain(text, at)
            yield _Token(word, line, is_quoted=here in "\"'")
            line += text.count("\n", at, after)
            at = after


def _plain(text: str, at: int) -> tuple[str, int]:
    word = []
    while at < len(text) and text[at] not in " \t\r\n;{":
        if text[at] == "\\" and at + 1 < len(text):
            word.append(text[at : at + 2])
            at += 2
        elif text.startswith("${", at):
            word.append("${")
            at += 2
        else:
            word.append(text[at])
            at += 1
    return "".join(word), at


def _quoted(text: str, at: int, path: str, line: int) -> tuple[str, int]:
    quote, word = text[at], []
    at += 1
    while at < len(text) and text[at] != quote:
        step = 2 if text[at] == "\\" else 1
        word.append(text[at : at + step][-1])
        at += step
    if at >= len(text):
        raise SpecError(f"{path}:{line}: a quotation without its end")
    return "".join(word), at + 1
