"""Describes what is wrong with a text that is no YAML, and what to write.

It looks at the characters where the reader stopped, and where what it was reading began, not at the reader's words.
"""

from __future__ import annotations

from yaml import Mark, MarkedYAMLError, YAMLError
from yaml.composer import ComposerError
from yaml.parser import ParserError
from yaml.reader import ReaderError
from yaml.scanner import ScannerError

_RESERVED = "@`%"  # YAML 1.2, section 5.4: no plain text begins with one of these
_NODES = {"*": "an alias", "&": "an anchor", "!": "a tag"}


def describe_yaml_error(error: YAMLError, text: str) -> tuple[int, str]:
    """The line, counted from 1, and a sentence."""
    if isinstance(error, ReaderError):
        number = text.count("\n", 0, error.position) + 1
        return number, f"the character {text[error.position]!r} is not allowed; remove it"
    assert isinstance(error, MarkedYAMLError)
    stop, begin = error.problem_mark, error.context_mark
    if stop is None:
        return 1, f"{error.problem or error.context}"
    at, of, line = _char(text, stop), _char(text, begin), text.splitlines()[stop.line : stop.line + 1]
    indent = line[0][: len(line[0]) - len(line[0].lstrip())] if line else ""
    if at == "\t" or "\t" in indent:
        return stop.line + 1, "a tab; write spaces"
    if begin is not None and of in tuple("\"'") and isinstance(error, ScannerError):
        if text[stop.index :].strip():
            return stop.line + 1, f"{_word(text, stop)!r} after a backslash; write \\\\ for one, or the text in '...'"
        return begin.line + 1, f"a text begins with {of} here and never ends; close it with {of}"
    if at in tuple(_RESERVED):
        return stop.line + 1, f'a text that begins with {at} needs quotes: "{_word(text, stop)}"'
    if of in _NODES or at in _NODES:
        mark = begin if begin is not None and of in _NODES else stop
        sign = text[mark.index]
        return mark.line + 1, f'{sign} begins {_NODES[sign]} of YAML; a text needs quotes: "{_word(text, mark)}"'
    if isinstance(error, ComposerError):
        return stop.line + 1, "one file has one document, and a second begins here; write a file for each"
    if begin is not None and of in tuple("[{"):
        closing = {"[": "]", "{": "}"}[of]
        return (
            begin.line + 1,
            f"{of} is not closed as it should be; write a comma between values, and {closing} at the end",
        )
    if at == ":" and isinstance(error, ScannerError):
        return stop.line + 1, "a second colon, or a wrong indent; put a text with a colon in quotes, and align the keys"
    if isinstance(error, ScannerError) and begin is not None:
        return begin.line + 1, f"{_word(text, begin)!r} has no colon; write key: value"
    if isinstance(error, ParserError) and not text[stop.index :].strip():
        return stop.line + 1, "the file ends too early; close each [ with ] and each { with }"
    if isinstance(error, ParserError):
        return stop.line + 1, "the indent fits no line above; align the keys of a part, and the dashes of a list"
    return stop.line + 1, f"{error.problem or error.context}"


def _char(text: str, mark: Mark | None) -> str:
    return text[mark.index : mark.index + 1] if mark is not None else ""


def _word(text: str, mark: Mark) -> str:
    """What stands there, to the end of the line or of the value."""
    rest = text[mark.index :].partition("\n")[0]
    for end in (" #", ",", "}", "]"):
        rest = rest.partition(end)[0]
    return rest.strip()[:40]
