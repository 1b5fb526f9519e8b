"""Gives each question its prompt: text drawn from the seed, or the lines of a file in turn.

A line is a JSON object with `prompt`, a text, or `messages`, a list of `role` and `content`; other keys are ignored. A
drawn prompt begins with its number, so that each is unique and misses prompt caches; a line is asked as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import get_args

from chaoskit import seed as seeds
from chaoskit.errors import SpecError
from chaoskit.probe.protocols.stream_protocol import Message, Role
from chaoskit.spec.asking import PromptSizes, TokenCounts
from chaoskit.spec.replay import read_rows
from chaoskit.spec.workload import Workload
from chaoskit.token_lengths import BYTES_PER_TOKEN

_POOL = 1 << 16  # bytes of text that prompts are cut from
_LARGEST_FILE = 256 * 10**6  # bytes; all lines are kept in memory
_LARGEST_PROMPT = 100 * 10**6  # bytes
_MOST_TOLD = 10  # bad lines of one file
_EXAMPLE = 'write {"prompt": "..."} or {"messages": [{"role": "user", "content": "..."}]}'
Messages = tuple[Message, ...]


class Prompts:
    """The prompts of one drive. Raises SpecError for a file that cannot be asked."""

    def __init__(self, workload: Workload, seed: int) -> None:
        self._lines = read_prompts(workload)
        self._sizes = PromptLengths(workload, seed)
        self._system = workload.system
        self._text = "" if self._lines else _prompt_text(seed)

    def messages(self, number: int, is_first: bool = True) -> Messages:
        """What the question of this number adds to a conversation; the first one has the system prompt too."""
        own = self._lines[number % len(self._lines)] if self._lines else (Message("user", self._drawn(number)),)
        has_system = any(message.role == "system" for message in own)
        system = (Message("system", self._system),) if self._system and is_first and not has_system else ()
        return (*system, *own)

    def _drawn(self, number: int) -> str:
        size = self._sizes.of(number)
        text = f"{number} " + self._text * (size // len(self._text) + 1)
        return text[:size]


class PromptLengths:
    """How many bytes each prompt has."""

    def __init__(self, workload: Workload, seed: int) -> None:
        self._size, self._seed = workload.prompt_size, seed
        self._rows = None if workload.trace is None else read_rows(workload.trace).prompt

    def of(self, number: int) -> int:
        """Of the question of this number."""
        if self._rows is not None:
            return self._rows[number] * BYTES_PER_TOKEN
        if not isinstance(self._size, PromptSizes):
            return self._size
        return min(self._size.at(seeds.source(self._seed, "prompt-size", number).gauss(0.0, 1.0)), _LARGEST_PROMPT)


class OutputLengths:
    """How many output tokens each question asks for."""

    def __init__(self, workload: Workload, seed: int) -> None:
        self._tokens, self._seed = workload.output_tokens, seed
        self._rows = None if workload.trace is None else read_rows(workload.trace).output

    def of(self, number: int) -> int:
        """The question of this number."""
        if self._rows is not None:
            return self._rows[number]
        if not isinstance(self._tokens, TokenCounts):
            return self._tokens
        return self._tokens.at(seeds.source(self._seed, "output-tokens", number).gauss(0.0, 1.0))


def read_prompts(workload: Workload) -> tuple[Messages, ...]:
    """The lines of the workload's file; none without a file. Raises SpecError with its bad lines."""
    if workload.prompts is None:
        return ()
    path = Path(workload.prompts).expanduser()
    try:
        if not path.is_file():
            raise SpecError(f"prompts: {path} {'is no file' if path.exists() else 'does not exist'}; give a JSONL file")
        if path.stat().st_size > _LARGEST_FILE:
            raise SpecError(f"prompts: {path} is larger than 256 MB; give a shorter file: its lines are asked in turn")
        found = tuple(_lines(path))
    except OSError as error:
        raise SpecError(f"prompts: {path}: {error.strerror}; give a JSONL file") from None
    if not found:
        raise SpecError(f"prompts: {path} is empty; in each line {_EXAMPLE}")
    return found


def _lines(path: Path) -> Iterator[Messages]:
    """The messages of each line. Raises SpecError with all bad lines, or the first of very many."""
    wrong: list[str] = []
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            if not raw.strip():
                continue
            try:
                found = _messages(json.loads(raw.decode("utf-8-sig" if number == 1 else "utf-8")))
            except (ValueError, RecursionError) as error:
                wrong.append(f"{path}:{number}: {_why_not(error)}")
                if len(wrong) > _MOST_TOLD:
                    wrong[-1] = "and perhaps more"
                    break
            else:
                yield found
    if wrong:
        raise SpecError("\n".join([f"{wrong[0]}; {_EXAMPLE}", *wrong[1:]]))


def _why_not(error: ValueError | RecursionError) -> str:
    match error:
        case json.JSONDecodeError():
            return f"no JSON: {error.msg} at column {error.colno}"
        case UnicodeDecodeError():
            return f"byte {error.start} is not UTF-8"
        case RecursionError():
            return "nested too deeply"
        case _:
            return str(error)


def _messages(line: object) -> Messages:
    """The messages of a line. Raises ValueError."""
    if not isinstance(line, dict):
        raise ValueError("no JSON object")
    prompt, messages = line.get("prompt"), line.get("messages")
    if (prompt is None) == (messages is None):
        raise ValueError("neither prompt nor messages" if prompt is None else "both prompt and messages")
    if prompt is not None:
        return (Message("user", _text(prompt, "prompt")),)
    if not isinstance(messages, list) or not messages:
        raise ValueError("messages is no list with messages in it")
    found = tuple(_message(each, f"messages[{at}]") for at, each in enumerate(messages))
    if found[-1].role != "user":
        raise ValueError("the last message is not the user's")
    return found


def _message(message: object, place: str) -> Message:
    if not isinstance(message, dict):
        raise ValueError(f"{place} is no JSON object")
    role: Role | None = next((each for each in get_args(Role) if each == message.get("role")), None)
    if role is None:
        raise ValueError(f"{place}.role is {str(message.get('role'))[:40]!r}, expected {', '.join(get_args(Role))}")
    return Message(role, _text(message.get("content"), f"{place}.content"))


def _text(text: object, place: str) -> str:
    if not isinstance(text, str) or not text:
        raise ValueError(f"{place} is no text" if not isinstance(text, str) else f"{place} is empty")
    return text.encode(errors="replace").decode()  # without lone surrogates, which JSON may contain


@lru_cache(maxsize=4)
def _prompt_text(seed: int) -> str:
    """Random ASCII words from the seed."""
    source = seeds.source(seed, "prompt")
    letters = "etaoinshrdlu"
    words = ["".join(source.choices(letters, k=source.randint(2, 9))) for _ in range(500)]
    pool = " ".join(source.choices(words, k=_POOL // 6))
    return f"{pool} "
