"""Knows endpoints by their URLs: which protocol a path belongs to, and what a vendor's endpoint needs.

Nothing is asked of the network. Sources: the vendors' API references.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from chaoskit.spec.endpoint import protocol_of
from chaoskit.spec.workload import Protocol


@dataclass(frozen=True)
class Vendor:
    """What an endpoint of a vendor needs: protocol, environment variable of the key, the key's header, and a model.

    `host` is the end of its host name, `model` an example. None: the default; a local server needs no key.
    """

    host: str
    protocol: Protocol
    key_env: str | None = None
    model: str | None = None
    key_header: str | None = None


VENDORS = (
    Vendor("api.openai.com", "openai-chat", "OPENAI_API_KEY", "gpt-4o-mini"),
    Vendor("openai.azure.com", "openai-chat", "AZURE_OPENAI_API_KEY", "gpt-4o-mini", "api-key"),
    Vendor("services.ai.azure.com", "openai-chat", "AZURE_INFERENCE_CREDENTIAL", "gpt-4o-mini", "api-key"),
    Vendor("api.anthropic.com", "anthropic-messages", "ANTHROPIC_API_KEY", "claude-haiku-4-5"),
    Vendor("generativelanguage.googleapis.com", "gemini", "GEMINI_API_KEY", "gemini-2.5-flash"),
    Vendor("openrouter.ai", "openai-chat", "OPENROUTER_API_KEY", "openai/gpt-4o-mini"),
    Vendor("api.mistral.ai", "openai-chat", "MISTRAL_API_KEY", "mistral-small-latest"),
    Vendor("api.groq.com", "openai-chat", "GROQ_API_KEY", "llama-3.1-8b-instant"),
    Vendor("api.deepseek.com", "openai-chat", "DEEPSEEK_API_KEY", "deepseek-chat"),
    Vendor("api.together.xyz", "openai-chat", "TOGETHER_API_KEY"),
    Vendor("api.fireworks.ai", "openai-chat", "FIREWORKS_API_KEY"),
    Vendor("api.x.ai", "openai-chat", "XAI_API_KEY"),
    Vendor("ollama.com", "ollama", "OLLAMA_API_KEY"),
)
_OLLAMA_PORT = 11434


def protocol_at(url: str) -> str | None:
    """The protocol of this URL, by its path, else by its host or port; None where neither says anything."""
    path = url.partition("#")[0].partition("?")[0].rstrip("/")
    named = protocol_of(url)
    if named is not None:
        return named
    if path.endswith(("/openai", "/openai/v1")):
        return "openai-chat"
    if path.endswith("/anthropic"):
        return "anthropic-messages"
    if "/v1beta" in path:
        return "gemini"
    vendor = vendor_of(url)
    if vendor is None and path.endswith("/api"):
        return "ollama"
    if vendor is None or (vendor.protocol == "ollama" and path.endswith("/v1")):
        return None
    return vendor.protocol


def vendor_of(url: str) -> Vendor | None:
    """Whose endpoint this is, by the host name; Ollama's by its port on any host."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return None
    known = next((each for each in VENDORS if host == each.host or host.endswith(f".{each.host}")), None)
    return Vendor(host, "ollama") if known is None and port == _OLLAMA_PORT else known
