"""What a URL alone says about an endpoint, and the file that `chaoskit init --endpoint` writes from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit.spec.load import load
from chaoskit.spec.new_file import NewFile, write
from chaoskit.spec.stage import InterfaceStage
from chaoskit.spec.vendors import protocol_at

AZURE = "https://mine.openai.azure.com/openai/deployments/gpt-4o?api-version=2024-10-21"


@pytest.mark.parametrize(
    ("url", "protocol", "key_env", "key_header"),
    [
        ("https://api.openai.com/v1", "openai-chat", "OPENAI_API_KEY", None),
        ("https://api.openai.com/v1/responses", "openai-responses", "OPENAI_API_KEY", None),
        ("https://api.anthropic.com", "anthropic-messages", "ANTHROPIC_API_KEY", None),
        ("https://generativelanguage.googleapis.com", "gemini", "GEMINI_API_KEY", None),
        ("https://generativelanguage.googleapis.com/v1beta/openai/", "openai-chat", "GEMINI_API_KEY", None),
        (AZURE, "openai-chat", "AZURE_OPENAI_API_KEY", "api-key"),
        ("http://127.0.0.1:8080/api", "ollama", None, None),
        ("http://127.0.0.1:8080/ollama/api/", "ollama", None, None),
        ("https://openrouter.ai/api/v1", "openai-chat", "OPENROUTER_API_KEY", None),
        ("http://localhost:11434", "ollama", None, None),
        ("http://localhost:11434/v1", "openai-chat", None, None),
        ("http://10.0.0.7:8000/v1", "openai-chat", None, None),
        ("https://api.deepseek.com/anthropic", "anthropic-messages", "DEEPSEEK_API_KEY", None),
    ],
)
def test_a_new_gate_fits_its_vendor(
    url: str, protocol: str, key_env: str | None, key_header: str | None, tmp_path: Path
) -> None:
    """Protocol, the variable of the key and its header are those of the host and path; the file is valid."""
    (path,) = write(NewFile(str(tmp_path / "mine"), url), is_forced=False)

    found = load(path)

    assert isinstance(found.stage, InterfaceStage)
    assert found.workload.protocol == protocol
    assert (found.stage.key_env, found.stage.key_header) == (key_env, key_header)
    assert found.stage.target == url


def test_what_is_given_counts_more() -> None:
    """Options replace what the URL says."""
    text = NewFile(None, "https://api.openai.com/v1", "my-model", "MY_KEY", "openai-responses").text()

    assert "  model: my-model\n" in text
    assert "  key-env: MY_KEY\n" in text
    assert "  protocol: openai-responses" in text


@pytest.mark.parametrize("url", ["http://[", "nonsense", "http://evil-api.openai.com.example/x", ""])
def test_an_unknown_url_says_nothing(url: str) -> None:
    """Neither a broken URL nor a host that only resembles a vendor's."""
    assert protocol_at(url) is None
