"""Caddy: Caddyfiles as Caddy reads them, its transport's timers, and its defaults."""

from __future__ import annotations

from pathlib import Path

import pytest
from proxy_programs import CADDYFILE, caddy_accepts

from chaoskit.errors import SpecError
from chaoskit.timeouts import caddy
from chaoskit.timeouts.caddy_syntax import parse
from chaoskit.timeouts.files import Texts
from chaoskit.timeouts.timers import Reading

GATEWAY = """\
{
  admin off
  servers {
    timeouts {
      write 2m
      idle 1m
    }
  }
}
(patient) {
  transport http {
    read_timeout 1m30s
    dial_timeout 500ms
    keepalive off
  }
}
http://:8080, http://:8081 {
  @chat path /v1/*
  handle @chat {
    reverse_proxy model-1:8000 model-2:8000 {
      import patient
      lb_retries 2
      response_buffers 4KiB
    }
  }
  handle /vectors/* {
    reverse_proxy http://vectors:6333 {
      lb_try_duration 9s
    }
  }
}
"""
SYNTAX = {
    ":80 {\n  respond `a } b`\n}\n": True,
    ':80\nrespond "a # b" # a comment\n': True,
    ":80 {\n  respond \\\n  ok\n}\n": True,
    ":80 {\n": False,
    ":80 {\n}\n}\n": False,
}


def read(text: str) -> Reading:
    """What this file says."""
    return caddy.read("Caddyfile", Texts({"Caddyfile": text}))


def timers(text: str, path: str) -> dict[str, tuple[str, str]]:
    """Value and source of the timers of the route of this path, by kind."""
    (route,) = read(text).serving(8080, path)
    return {each.kind: (str(each.value), each.source) for each in route.timers}


@pytest.mark.parametrize(
    ("text", "is_good"), [*SYNTAX.items(), (GATEWAY.replace("response_buffers 4KiB", "buffer_responses"), True)]
)
def test_what_caddy_takes_is_parsed_and_nothing_else(text: str, is_good: bool, tmp_path: Path) -> None:
    """The real `caddy adapt` and the parser agree on quotes, comments and braces."""
    assert caddy_accepts(text, tmp_path) == is_good

    try:
        parse("Caddyfile", Texts({"Caddyfile": text}))
    except SpecError:
        assert not is_good
    else:
        assert is_good


def test_a_transport_has_timers_and_the_server_may_end_all() -> None:
    """A snippet is in its place; `write` of the server's timeouts ends a whole response."""
    assert timers(GATEWAY, "/v1/chat") == {
        "connect": ("500ms", "dial_timeout in Caddyfile:13"),
        "upload": ("None", "Caddy's default write_timeout"),
        "first-byte": ("None", "Caddy's default response_header_timeout"),
        "idle": ("90s", "read_timeout in Caddyfile:12"),
        "total": ("2min", "write in Caddyfile:5"),
    }
    assert {each.kind: str(each.value) for each in read(GATEWAY).own}["keep-alive"] == "60s"


def test_each_handle_has_its_own_proxy() -> None:
    """By named matcher and by path, with retries by number or by time."""
    (chat,), (vectors,) = read(GATEWAY).serving(8080, "/v1/chat"), read(GATEWAY).serving(8081, "/vectors/x")

    assert [each.host for each in chat.callees] == ["model-1", "model-2"]
    assert (chat.retries.attempts("connect"), chat.retries.attempts("idle")) == (3, 1)
    assert "response_buffers in Caddyfile:23" in chat.holds[0].sentence
    assert read(GATEWAY.replace("response_buffers 4KiB", "buffer_responses")).serving(8080, "/v1/")[0].holds
    assert [(each.host, each.port) for each in vectors.callees] == [("vectors", 6333)]
    assert vectors.retries.attempts("connect") == 4


def test_a_site_without_braces() -> None:
    """The first line is its address, and the rest is in it."""
    found = timers("localhost:8080\nencode gzip\nreverse_proxy model:8000\n", "/")

    assert found["connect"] == ("3s", "Caddy's default dial_timeout")
    assert found["reuse"] == ("2min", "Caddy's default keepalive")


def test_a_heredoc_is_one_word() -> None:
    """Newer than Debian's Caddy: up to its name on a line of its own; without that it has no end."""
    text = ":80\nrespond <<END\n  a { b\n  END\nreverse_proxy model:8000\n"

    assert timers(text, "/")["connect"][0] == "3s"
    with pytest.raises(SpecError, match="Caddyfile:2: a heredoc without its end"):
        read(text.replace("  END", "  end"))


def test_debians_own_file_proxies_nothing() -> None:
    """It serves files, and that is said."""
    with pytest.raises(SpecError, match="Caddyfile: has no reverse_proxy"):
        read(CADDYFILE)


def test_imports_in_a_circle_end() -> None:
    """A file that imports itself is refused, and not read for ever."""
    with pytest.raises(SpecError, match="nested too deeply"):
        read(":80 {\n import Caddyfile\n}\n")


def test_snippets_that_multiply_end() -> None:
    """A snippet of snippets of snippets is refused before it has a million lines."""
    text = "(a0) {\n x\n x\n}\n" + "".join(
        f"(a{n}) {{\n import a{n - 1}\n import a{n - 1}\n import a{n - 1}\n}}\n" for n in range(1, 30)
    )

    with pytest.raises(SpecError, match="more than"):
        read(text + ":80 {\n import a29\n}\n")
