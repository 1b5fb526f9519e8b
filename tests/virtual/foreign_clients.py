"""Streams one answer with each foreign client for Python, unchanged, from the server that `CHAOSKIT_TARGET` names.

Prints JSON: for each client the ms to its first piece of text and to its end, and its pieces. A program for a lab.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import anthropic
import ollama
import openai
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI

TARGET = os.environ["CHAOSKIT_TARGET"]
TOKENS = 30
HI: Any = [{"role": "user", "content": "hi"}]


def openai_chat() -> Iterator[str]:
    """The chat completions of `openai`, whose URL and key the environment has."""
    stream = openai.OpenAI().chat.completions.create(model="m", messages=HI, max_tokens=TOKENS, stream=True)
    return (chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def openai_responses() -> Iterator[str]:
    """The responses of `openai`."""
    stream = openai.OpenAI().responses.create(model="m", input="hi", max_output_tokens=TOKENS, stream=True)
    return (event.delta for event in stream if event.type == "response.output_text.delta")


def anthropic_messages() -> Iterator[str]:
    """The messages of `anthropic`."""
    with anthropic.Anthropic().messages.stream(model="m", messages=HI, max_tokens=TOKENS) as stream:
        yield from stream.text_stream


def ollama_chat() -> Iterator[str]:
    """`ollama`."""
    parts = ollama.Client().chat(model="m", messages=HI, stream=True, options={"num_predict": TOKENS})
    return (part.message.content or "" for part in parts)


def langchain_openai() -> Iterator[str]:
    """LangChain's model of OpenAI."""
    return map(_text, ChatOpenAI(model="m", max_completion_tokens=TOKENS).stream("hi"))


def langchain_anthropic() -> Iterator[str]:
    """LangChain's model of Anthropic."""
    model: Any = ChatAnthropic
    return map(_text, model(model="m", max_tokens=TOKENS).stream("hi"))


CLIENTS: dict[str, Callable[[], Iterable[str]]] = {
    "openai": openai_chat,
    "openai responses": openai_responses,
    "anthropic": anthropic_messages,
    "ollama": ollama_chat,
    "langchain openai": langchain_openai,
    "langchain anthropic": langchain_anthropic,
}


def _text(chunk: Any) -> str:
    return str(chunk.text)


def measured(client: Callable[[], Iterable[str]]) -> tuple[float, float, list[str]]:
    """The ms to the first piece with text and to the end, and the pieces."""
    begun, first, pieces = time.monotonic(), 0.0, []
    for piece in client():
        first = first or (time.monotonic() - begun if piece else 0.0)
        pieces += [piece] if piece else []
    return first * 1000, (time.monotonic() - begun) * 1000, pieces


def main() -> None:
    """Each client twice, as the first time loads its parts; the second counts."""
    found = {}
    for name, client in CLIENTS.items():
        measured(client)
        found[name] = measured(client)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
