"""The APIs that the server speaks: each is one module and one entry here.

| API                  | stream                                              | stamps of an event                     |
|----------------------|-----------------------------------------------------|----------------------------------------|
| `openai-chat`        | `data: {chunk}` ... usage if asked for, `[DONE]`    | `"chaoskit": {"seq", "due", "sent"}`   |
| `openai-completions` | the same                                            | the same                               |
| `openai-responses`   | `event: response.created` ... `response.completed`  | the same, in each delta                |
| `anthropic-messages` | `event: message_start` ... `message_stop`           | the same, in each delta                |
| `gemini`             | `data: {response}` ... one with `finishReason`      | the same                               |
| `ollama`             | a JSON object a line ... one with `"done": true`    | the same                               |
| `ollama-generate`    | the same                                            | the same                               |
| `sse`                | `data: token` ... `data: [DONE]`                    | a comment: `: chaoskit seq due sent`   |

Stamps are monotonic ns; clients ignore unknown fields. An event of several tokens has their number as well, `tokens`,
and the other stamps are those of its first token.
"""

from __future__ import annotations

from chaoskit.server.formats import (
    anthropic_messages,
    gemini,
    ollama,
    ollama_generate,
    openai_chat,
    openai_completions,
    openai_responses,
    plain_sse,
)
from chaoskit.server.formats.api import Api

APIS: tuple[Api, ...] = (
    openai_chat.API,
    openai_completions.API,
    openai_responses.API,
    anthropic_messages.API,
    gemini.API,
    ollama.API,
    ollama_generate.API,
    plain_sse.API,
)
