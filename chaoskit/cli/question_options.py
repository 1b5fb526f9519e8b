"""Defines the options that say what requests ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from chaoskit.cli.option_groups import kebab


@dataclass(frozen=True)
class QuestionOptions:
    """What is asked."""

    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Model. Default: the one that the endpoint lists.")
    ] = None
    protocol: Annotated[
        str | None, typer.Option(help="What the endpoint speaks. Default: as its path says, else openai-chat.")
    ] = None
    end_event: Annotated[str | None, typer.Option(metavar="NAME", help="With sse: an event of this type ends.")] = None
    end_data: Annotated[str | None, typer.Option(metavar="TEXT", help="With sse: an event with this data ends.")] = None
    end: Annotated[str | None, typer.Option(metavar="marker|body", help="With sse: what ends a response.")] = None
    demand: Annotated[
        str | None, typer.Option(metavar="KEYS", help="Workflows by share: '{chat: 70%, support: 30%}'.")
    ] = None
    carry: Annotated[
        str | None, typer.Option(metavar="KEYS", help="How they are told: '{workflow: header x-workflow}'.")
    ] = None
    output_tokens: Annotated[
        str, typer.Option(metavar="NUMBER", help="Tokens to request: 100, or '{median: 200, p99: 1000}'.")
    ] = "100"
    prompt_size: Annotated[
        str | None, typer.Option(metavar="SIZE", help="1kB, or '{median: 1kB, p99: 20kB}'. Default: 1kB.")
    ] = None
    prompts: Annotated[
        str | None, typer.Option(metavar="FILE", help="JSONL, with a prompt or messages in each line.")
    ] = None
    system: Annotated[str | None, typer.Option(metavar="TEXT", help="System prompt of every request.")] = None
    turns: Annotated[int, typer.Option(help="Requests of a conversation, which repeat what was said.")] = 1
    extra_body: Annotated[
        str | None, typer.Option(metavar="JSON|@FILE", help="Merged into the body; null removes a field.")
    ] = None

    def given(self, url: str) -> dict[str, Any]:
        """As keys of a workload; the protocol is that of the URL where none is given."""
        from chaoskit.spec.vendors import protocol_at

        return kebab(self, "model") | {"protocol": self.protocol or protocol_at(url)}
