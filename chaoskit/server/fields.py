"""Reads the fields of a request's JSON body that several APIs share.

Unused fields are not checked: clients send many. Each function raises BadRequestError with the field's name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from chaoskit.server.requests import SCRIPT_HEADER, STREAM_HEADER, BadRequestError, Request
from chaoskit.server.schedule import Tool

MODEL = "chaoskit"
TOKENS = 100  # when the client does not say how many
_MAX_TOKENS = 100_000
_BYTES_PER_TOKEN = 4  # a rough estimate of a prompt's tokens
_MAX_MODEL = 256  # characters; the name is in every event of a response
_MAX_VALUES = 1_000_000  # in a body's JSON: each needs some 60 bytes of memory and 50 ns of the event loop
_MAX_DEPTH = 5  # of a schema, or of a prompt's parts, that is followed
_TEXTS = ("text", "content", "parts")  # where a part of a prompt has its text
_FILLER: dict[str, Any] = {"integer": 1, "number": 1, "boolean": True, "array": [], "object": {}, "null": None}


def json_object(raw: bytes) -> dict[str, Any]:
    """The body, which must be a JSON object."""
    if sum(raw.count(sign) for sign in (b",", b"[", b"{")) > _MAX_VALUES:
        raise BadRequestError(f"the body has more than {_MAX_VALUES} values")
    try:
        body = json.loads(raw, parse_constant=_no_number)
    except ValueError as problem:
        raise BadRequestError(f"the body is not JSON: {problem}") from None
    if not isinstance(body, dict):
        raise BadRequestError("the body is not a JSON object")
    return body


def flag(body: Mapping[str, Any], name: str) -> bool | None:
    """A boolean; None if missing or null."""
    found: bool | None = _field(body, name, bool, "a boolean")
    return found


def mapping(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object; empty if missing or null."""
    return _field(body, name, dict, "an object") or {}


def array(body: Mapping[str, Any], name: str) -> list[Any]:
    """A required array."""
    found: list[Any] | None = _field(body, name, list, "an array")
    if found is None:
        raise BadRequestError(f"{name}: field required")
    return found


def text(body: Mapping[str, Any], name: str) -> str | None:
    """A text; None if missing or null."""
    found: str | None = _field(body, name, str, "a string")
    return found


def token_limit(body: Mapping[str, Any], name: str) -> int | None:
    """How many tokens the client wants; None if it does not say."""
    count: int | None = _field(body, name, int, "an integer")
    if count is not None and not 1 <= count <= _MAX_TOKENS:
        raise BadRequestError(f"{name}: expected 1 to {_MAX_TOKENS}, found {count}")
    return count


def priority(body: Mapping[str, Any]) -> int:
    """vLLM's field of this name: lower values are handled earlier; 0 where it is missing."""
    found: int | None = _field(body, "priority", int, "an integer")
    return found or 0


def refuse_several(body: Mapping[str, Any], *names: str) -> None:
    """Refuse a request for several answers: with one, a client would wait for those that never come."""
    for name in names:
        count: int | None = _field(body, name, int, "an integer")
        if count not in (None, 1):
            raise BadRequestError(f"{name}: this server gives one answer to a request, found {count}")


def one_prompt(body: Mapping[str, Any]) -> str | list[Any]:
    """The required prompt of completions: a text, the tokens of one, or a list with one of these."""
    prompt = body.get("prompt")
    if not isinstance(prompt, str | list):
        raise BadRequestError("prompt: field required, a string or an array")
    if isinstance(prompt, list) and len(prompt) > 1 and any(isinstance(each, str | list) for each in prompt):
        raise BadRequestError(f"prompt: this server answers one prompt in a request, found {len(prompt)}")
    return prompt


def model(body: Mapping[str, Any]) -> str:
    """The required name of a model."""
    found = text(body, "model")
    if found is None:
        raise BadRequestError("model: field required")
    if len(found) > _MAX_MODEL:
        raise BadRequestError(f"model: expected at most {_MAX_MODEL} characters, found {len(found)}")
    return found


def messages(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The required messages, each with a role."""
    found = array(body, "messages")
    for at, message in enumerate(found):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise BadRequestError(f"messages[{at}]: expected an object with a role")
    return found


def prompt_tokens(*parts: Any) -> int:
    """A rough count of the tokens in a prompt, alike for the same texts in the shapes of all APIs."""
    return max(1, sum(map(_size, parts)) // _BYTES_PER_TOKEN)


def contents(messages: Iterable[Mapping[str, Any]]) -> list[Any]:
    """What the messages say."""
    return [message.get("content") for message in messages]


def tool(declarations: Iterable[Any], is_result: bool) -> Tool | None:
    """The call of the first declared function, unless the client has sent its result already.

    Declarations are `{"name", "parameters"}`, or with the schema as `input_schema`; others are skipped.
    """
    if is_result:
        return None
    for each in declarations:
        if isinstance(each, dict) and isinstance(each.get("name"), str):
            schema = each.get("parameters") or each.get("input_schema") or each.get("parametersJsonSchema")
            return _call(each["name"][:_MAX_MODEL], schema if isinstance(schema, dict) else {})
    return None


def stream_number(request: Request) -> int | None:
    """The client's number of this stream."""
    found = request.headers.get(STREAM_HEADER)
    if found is None:
        return None
    if not (found.isascii() and found.isdigit() and len(found) < 19):
        raise BadRequestError(f"{STREAM_HEADER}: expected an integer, found {found[:40]!r}")
    return int(found)


def script_name(request: Request, model: str) -> str | None:
    """The script that the client asks for: in a header, or as a tag of the model, `chaoskit:NAME`."""
    found = request.headers.get(SCRIPT_HEADER)
    if found is None and model.startswith(f"{MODEL}:"):
        return model.removeprefix(f"{MODEL}:")
    return found


def _size(part: Any, depth: int = 0) -> int:
    """The characters of the texts in a part of a prompt; of what has no text, those of its JSON."""
    if isinstance(part, str):
        return len(part)
    if isinstance(part, list) and depth < _MAX_DEPTH:
        return sum(_size(each, depth + 1) for each in part)
    if isinstance(part, dict) and depth < _MAX_DEPTH:
        for key in _TEXTS:
            if isinstance(part.get(key), str | list):
                return _size(part[key], depth + 1)
    return 0 if part is None else len(json.dumps(part))


def _field(body: Mapping[str, Any], name: str, kind: type, noun: str) -> Any:
    """`body[name]`, None if missing or null; a boolean is not accepted as an integer."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise BadRequestError(f"{name}: expected {noun}, found {json.dumps(value)[:80]}")
    return value


def _no_number(name: str) -> float:
    """Reject NaN and Infinity, which Python accepts and RFC 8259 does not."""
    raise ValueError(f"{name} is not a number")


def _call(name: str, schema: Mapping[str, Any]) -> Tool:
    """Arguments that satisfy a simple JSON Schema: the words go into its first text, the rest is the least."""
    properties = _properties(schema)
    needed = schema.get("required")
    required = [key for key in properties if isinstance(needed, list) and key in needed]
    arguments = {key: _least(properties[key], 1) for key in required}
    long = next((key for key in [*required, *properties] if _is_text(properties[key])), None)
    if long is None:
        return Tool(name, json.dumps(arguments), "", has_words=False)
    arguments[long] = _PLACEHOLDER
    before, _, after = json.dumps(arguments).rpartition(json.dumps(_PLACEHOLDER)[1:-1])
    return Tool(name, before, after)


_PLACEHOLDER = "\N{OBJECT REPLACEMENT CHARACTER}"  # where the words go


def _properties(schema: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    listed = schema.get("properties")
    return {key: value for key, value in listed.items() if isinstance(value, dict)} if isinstance(listed, dict) else {}


def _kind(schema: Mapping[str, Any]) -> str:
    """The type in lower case, as Gemini has it in capitals; the first of several."""
    kind = schema.get("type")
    return str(kind[0] if isinstance(kind, list) and kind else kind or "").lower()


def _is_text(schema: Mapping[str, Any]) -> bool:
    return _kind(schema) == "string" and not {"enum", "const", "format", "pattern"} & schema.keys()


def _least(schema: Mapping[str, Any], depth: int) -> Any:
    """A small value that fits: of an object what is required, of several choices the first."""
    for key in ("enum", "anyOf", "oneOf"):
        choices = schema.get(key)
        if isinstance(choices, list) and choices:
            chosen = choices[0]
            return _least(chosen, depth + 1) if key != "enum" and isinstance(chosen, dict) else chosen
    if "const" in schema:
        return schema["const"]
    properties, required = _properties(schema), schema.get("required")
    if (properties or _kind(schema) in ("object", "")) and depth < _MAX_DEPTH:
        needed = required if isinstance(required, list) else []
        return {key: _least(properties[key], depth + 1) for key in properties if key in needed}
    return _FILLER.get(_kind(schema), "word")
