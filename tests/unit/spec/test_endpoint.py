"""A URL holds no secret, and is shown without the values of its query."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.spec.endpoint import query_values, redacted, secret_in

SECRET = "s3cr3t"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"
SECRETS = [
    f"http://me:{SECRET}@host/v1",
    f"http://{SECRET}@host",
    f"https://:{SECRET}@host/",
    *(
        f"https://host/v1?x=1&{name}={SECRET}"
        for name in (
            "key", "api-key", "api_key", "apikey", "apiKey", "APIKEY", "subscription-key", "Ocp-Apim-Subscription-Key",
            "access_token", "accessToken", "auth", "token", "password", "client_secret", "X-Amz-Signature", "sig",
            "%6bey", "api%2Dkey",
        )
    ),
    "https://host/?x=sk-proj-0123456789abc",
    "https://host/?sk-0123456789abc",
    "https://host/?x=AKIA" + "7QWERTYUIOPASDFG",
    f"https://host/?x={JWT}",
    "https://host/?code=" + "a1b2c3d4" * 4,
    f"https://host/#access_token={SECRET}",
    f"https://host/?a=1;key={SECRET}",
]  # fmt: skip
HARMLESS = [
    "http://127.0.0.1:8000",
    "https://host/openai/deployments/gpt-4o-mini-2024-07-18/chat/completions?api-version=2024-10-21-preview",
    "https://host/sse?tokens=100&max_tokens=5&model=gpt-4o-mini-2024-07-18&stream",
    "https://host/run/@cf/meta/llama-3.1-8b-instruct",
    "https://host/?session=550e8400-e29b-41d4-a716-446655440000",
    "https://host/?key=&monkey=1&keyboard=us&design=2",
]


@pytest.mark.parametrize("url", SECRETS)
def test_what_looks_like_a_secret_is_found(url: str) -> None:
    """Userinfo, and a query that is named or built like a key; the words for it do not repeat it."""
    found = secret_in(url)

    assert found
    assert not any(value in found for value in (SECRET, "0123456789abc", "QWERTY", "a1b2c3d4", JWT[:20]))


@pytest.mark.parametrize("url", HARMLESS)
def test_an_everyday_url_has_no_secret(url: str) -> None:
    """Versions, models, numbers and identifiers are none."""
    assert secret_in(url) is None


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://h:80/v1", "http://h:80/v1"),
        ("http://h/v1?api-version=3&x=4#top", "http://h/v1?api-version=…&x=…"),
        ("http://h/v1?bare&x=", "http://h/v1?…&x=…"),
        ("http://me:pw@h/v1", "http://…@h/v1"),
        ("http://me:p@w@h/v1", "http://…@h/v1"),
        ("http://h/run/@cf/x", "http://h/run/@cf/x"),
        ("http://me:pw/x@h", "…"),
        ("me:pw@h/v1", "…"),
        ("http://me:pw@[::1", "…"),
        ("localhost:8080/login", "localhost:8080/login"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(url: str, told: str) -> None:
    """Names of a query stay, its values, userinfo and fragment go; a text that is no URL is shown where it can be."""
    assert redacted(url) == told


@given(st.text(max_size=40), st.text(min_size=6, max_size=20))
def test_no_value_is_ever_shown(start: str, value: str) -> None:
    """Whatever the text before it, what stands as a value in a query is not shown; nothing raises."""
    value = f"vvv{quote(value, safe='')}vvv"

    assert value not in redacted(f"http://host/{start.replace('#', '')}?name={value}")
    assert value in [*query_values(f"http://host/?name={value}"), value]
    redacted(start)
    secret_in(start)
