"""Finds the protocol of an endpoint's URL, and secrets in it; redacts it for records and reports.

A URL gets into process lists, shell histories, records and reports, so it must hold no secret. Rules: a URL with
userinfo, or with a query or fragment that looks like a key, is refused, and the message does not repeat it; a URL that
is shown or recorded keeps only the names of its query.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote_plus, urlsplit

HIDDEN = "…"
_PATHS = {
    "/completions": "openai-completions",
    "/chat/completions": "openai-chat",
    "/responses": "openai-responses",
    "/messages": "anthropic-messages",
    ":streamGenerateContent": "gemini",
    "/api/chat": "ollama",
    "/api/generate": "ollama-generate",
    "/sse": "sse",
}
"""How the usual path of a protocol ends."""
_SEPARATORS = re.compile(r"[&;]")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_SECRET_NAME = re.compile(
    r"key|apikey|token|accesstoken|secret|password|passwd|passphrase|pwd|pass|sig|signature"
    r"|auth|authorization|credentials?|bearer|jwt"
)
_VENDORS_KEY = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|hf|ghp|gho|ghs|github_pat|glpat|xox[abprs])[-_][\w-]{8,}|\bAIza[\w-]{30,}"
)
_RANDOM_TEXT = re.compile(r"(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{20,}")
_SECRET_HEADERS = ("cookie", "proxy-authorization")


def protocol_of(url: str) -> str | None:
    """The protocol whose usual path this URL has; None if no protocol has it."""
    path = url.partition("?")[0].partition("#")[0].rstrip("/")
    endings = [ending for ending in _PATHS if path.endswith(ending)]
    return _PATHS[max(endings, key=len)] if endings else None


def secret_in(url: str) -> str | None:
    """What in this URL looks like a secret, described without repeating it; None if nothing does."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if "@" in parts.netloc:
        return "a user name or password before its host"
    for name, value in (*_pairs(parts.query), *_pairs(parts.fragment)):
        if _looks_secret(name, value):
            return f"what looks like a key in its query ({name[:40]}={HIDDEN})" if name else "what looks like a key"
    return None


def secret_header(name: str, value: str) -> bool:
    """Whether a header with this value must not be in a file or on a command line: a key, a token, a cookie."""
    return _has_secret_name(name) or name.lower() in _SECRET_HEADERS or holds_key(value)


def holds_key(text: str) -> bool:
    """Whether it holds what looks like the key of a vendor, by its first letters."""
    return _VENDORS_KEY.search(text) is not None


def redacted(url: str) -> str:
    """The URL for people and records: no userinfo, no fragment, and the names of its query without values.

    Accepts any text, a server's too. Shows nothing where the end of a password cannot be told.
    """
    if "@" in url and not _has_authority(url):
        return HIDDEN
    head, mark, query = url.partition("#")[0].partition("?")
    start, slashes, rest = head.partition("//")
    authority, slash, path = rest.partition("/")
    if "@" in authority:
        authority = f"{HIDDEN}@{authority.rpartition('@')[2]}"
    names = "&".join(f"{name}={HIDDEN}" if name else HIDDEN for name, _ in _pairs(query))
    return f"{start}{slashes}{authority}{slash}{path}{mark}{names}"


def query_values(url: str) -> Iterator[str]:
    """The values in its query, encoded and decoded."""
    for _, value in _pairs(urlsplit(url).query):
        yield from {value, unquote_plus(value)}


def _has_authority(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.port != 0 and bool(parts.netloc)
    except ValueError:
        return False


def _pairs(query: str) -> list[tuple[str, str]]:
    """Names and values, still encoded; a part without `=` is a value without a name."""
    found = []
    for part in _SEPARATORS.split(query) if query else ():
        name, equals, value = part.partition("=")
        found.append((name, value) if equals else ("", name))
    return found


def _looks_secret(name: str, value: str) -> bool:
    is_random = _RANDOM_TEXT.search(unquote_plus(value)) is not None
    return (value != "" and _has_secret_name(unquote_plus(name))) or is_random or holds_key(unquote_plus(value))


def _has_secret_name(name: str) -> bool:
    words = [word.lower() for word in _WORD.findall(name)]
    return any(_SECRET_NAME.fullmatch(word) for word in (*words, "".join(words)))
