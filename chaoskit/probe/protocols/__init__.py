"""The streaming protocols: one file for each, and this table.

| protocol             | usual path                                        | end of a complete response             |
|----------------------|---------------------------------------------------|----------------------------------------|
| `openai-chat`        | `/v1/chat/completions`                            | `[DONE]`, or a `finish_reason`         |
| `openai-completions` | `/v1/completions`                                 | `[DONE]`, or a `finish_reason`         |
| `openai-responses`   | `/v1/responses`                                   | `response.completed` or `.incomplete`  |
| `anthropic-messages` | `/v1/messages`                                    | `message_stop`                         |
| `gemini`             | `/v1beta/models/MODEL:streamGenerateContent`      | a `finishReason`                       |
| `ollama`             | `/api/chat`                                       | `"done": true`                         |
| `ollama-generate`    | `/api/generate`                                   | `"done": true`                         |
| `sse`                | `/sse`                                            | `[DONE]`                               |

To add one: its file, its entry in `PROTOCOLS`, its name in `spec.workload.Protocol`.
"""

from __future__ import annotations

from collections.abc import Mapping

from chaoskit.probe.protocols.anthropic_messages import ANTHROPIC_MESSAGES
from chaoskit.probe.protocols.gemini import GEMINI
from chaoskit.probe.protocols.ollama import OLLAMA, OLLAMA_GENERATE
from chaoskit.probe.protocols.openai_chat import OPENAI_CHAT
from chaoskit.probe.protocols.openai_completions import OPENAI_COMPLETIONS
from chaoskit.probe.protocols.openai_responses import OPENAI_RESPONSES
from chaoskit.probe.protocols.plain_sse import PLAIN_SSE
from chaoskit.probe.protocols.stream_protocol import StreamProtocol
from chaoskit.spec.workload import Protocol

PROTOCOLS: Mapping[Protocol, StreamProtocol] = {
    "openai-chat": OPENAI_CHAT,
    "openai-completions": OPENAI_COMPLETIONS,
    "openai-responses": OPENAI_RESPONSES,
    "anthropic-messages": ANTHROPIC_MESSAGES,
    "gemini": GEMINI,
    "ollama": OLLAMA,
    "ollama-generate": OLLAMA_GENERATE,
    "sse": PLAIN_SSE,
}
