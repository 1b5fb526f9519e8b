"""Which program a command starts, and where its configuration is."""

from __future__ import annotations

import pytest

from chaoskit.timeouts.files import Texts
from chaoskit.timeouts.known_programs import reading_of

NGINX = "http { server { listen 80; location / { proxy_pass http://model:8000; } } }"
HAPROXY = "listen f\n bind :80\n server m model:8000\n"
LITELLM = "model_list: [{litellm_params: {api_base: 'http://model:8000'}}]\n"
FILES = Texts(
    {"nginx.conf": NGINX, "conf/nginx.conf": NGINX, "h.cfg": HAPROXY, "Caddyfile": ":80\nreverse_proxy model:8000\n",
     "litellm.yaml": LITELLM}
)  # fmt: skip


def shell(line: str) -> tuple[str, ...]:
    """A shell line, as a host's command."""
    return ("/bin/sh", "-c", line)


@pytest.mark.parametrize(
    ("command", "program"),
    [
        (("nginx", "-p", ".", "-c", "./nginx.conf", "-g", "daemon off;"), "nginx"),
        (("/usr/sbin/nginx", "-p", "conf", "-c", "nginx.conf"), "nginx"),
        (shell("exec nginx -p . -cnginx.conf"), "nginx"),
        (shell("mkdir -p x; LEVEL=info nginx -p . -c nginx.conf && echo"), "nginx"),
        (shell('nginx -c "$PWD/nginx.conf"'), "nginx"),
        (("haproxy", "-db", "-f", "h.cfg"), "HAProxy"),
        (("caddy", "run"), "Caddy"),
        (("caddy", "run", "--config", "Caddyfile"), "Caddy"),
        (("caddy", "reverse-proxy", "--from", ":80", "--to", "model:8000"), "Caddy"),
        (("litellm", "--config=litellm.yaml"), "LiteLLM"),
        (shell("python3 -m litellm --config litellm.yaml"), "LiteLLM"),
    ],
)
def test_a_proxy_is_known_by_its_command(command: tuple[str, ...], program: str) -> None:
    """In a list or a shell line, and its file is found; each of these calls the model."""
    found = reading_of(command, FILES)

    assert (found.program, found.remark) == (program, "")
    assert {each.host for route in found.routes for each in route.callees} == {"model"}


@pytest.mark.parametrize(
    "command",
    [shell("echo nginx"), shell("grep -c nginx.conf caddy"), shell("it's"), ("python", "-m", "mine"), ("cat", "envoy")],
)
def test_words_that_only_look_like_one_are_none(command: tuple[str, ...]) -> None:
    """A program's name as another program's argument."""
    found = reading_of(command, FILES)

    assert (found.program, found.routes, found.remark) == ("", (), "")


def test_a_file_that_cannot_be_read_is_told_in_one_line() -> None:
    """It names the program, the file and the reason, and stops nothing."""
    found = reading_of(("haproxy", "-f", "missing.cfg"), FILES)

    assert found.remark == "the timers of haproxy are not read: missing.cfg: no such file"
    assert found.routes == ()


def test_nginx_does_not_look_beside_the_experiment() -> None:
    """A relative -c is of its prefix (tried with Debian's nginx 1.22), and -p names that."""
    found = reading_of(("nginx", "-c", "nginx.conf"), FILES)

    assert "add -p . to its command" in found.remark
    assert found.routes


@pytest.mark.parametrize(
    ("command", "value", "source"),
    [
        (("uvicorn", "app:app"), "5s", "uvicorn's default --timeout-keep-alive"),
        (shell("python -m uvicorn app:app --timeout-keep-alive 75"), "75s", "--timeout-keep-alive in its command"),
        (("gunicorn", "app:app"), "2s", "gunicorn's default --keep-alive"),
        (("litellm", "--config", "litellm.yaml"), "5s", "uvicorn's default --keepalive_timeout"),
    ],
)
def test_servers_of_python_close_idle_connections_early(command: tuple[str, ...], value: str, source: str) -> None:
    """By an option, or after the few seconds that are their default."""
    (kept,) = reading_of(command, FILES).own

    assert (kept.kind, str(kept.value), kept.source) == ("keep-alive", value, source)


def test_without_a_file_a_proxy_has_its_defaults() -> None:
    """nginx and Caddy have some; those of the others are in their files."""
    assert reading_of(("nginx",), Texts({})).routes[0].timers
    assert reading_of(("caddy", "run"), Texts({})).routes[0].timers
    assert reading_of(("envoy",), Texts({})).routes == ()
