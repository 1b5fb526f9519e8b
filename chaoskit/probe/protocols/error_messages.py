"""Finds the server's sentence in an error."""

from __future__ import annotations

import json


def error_message(raw: bytes) -> str:
    """The server's message in the JSON body of an error response; "" if it has none in a known format."""
    try:
        parsed = json.loads(raw)
    except (ValueError, RecursionError):
        return ""
    return error_text(parsed.get("error")) if isinstance(parsed, dict) else ""


def error_text(error: object) -> str:
    """OpenAI and Anthropic send an object with a message, Ollama a string."""
    payload = error.get("message") or error.get("type") if isinstance(error, dict) else error
    return payload if isinstance(payload, str) else ""
