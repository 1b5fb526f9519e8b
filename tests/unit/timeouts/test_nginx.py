"""nginx: its language as nginx reads it, inheritance, defaults, and what it passes to."""

from __future__ import annotations

from pathlib import Path

import pytest
from proxy_programs import nginx_accepts

from chaoskit.errors import SpecError
from chaoskit.timeouts import nginx
from chaoskit.timeouts.files import Texts
from chaoskit.timeouts.nginx_syntax import Directive, parse
from chaoskit.timeouts.timers import Reading, Route, Timer
from chaoskit.units import Duration

INHERITED = """
http {
  proxy_read_timeout 30s;
  include timers/*.conf;
  upstream models {
    server model-1:8000;
    server model-2:8000 max_fails=2;
    keepalive 8;
  }
  server {
    listen 8080;
    proxy_connect_timeout 2s;
    location / { proxy_pass http://models; }
    location /v1/ {
      proxy_read_timeout 1h30m;
      proxy_next_upstream error timeout non_idempotent;
      proxy_next_upstream_tries 3;
      location /v1/embeddings { proxy_pass http://vectors:6333/; }
      proxy_pass http://models;
    }
    location ^~ /grpc { grpc_read_timeout 7; grpc_pass grpc://model-1:9000; }
    location ~ ^/py/[a-z]+ { set $back model-1:8100; uwsgi_pass $back; }
  }
}
"""
OTHERS = {"timers/a.conf": "proxy_send_timeout 9s;\nkeepalive_timeout 20s 15s;\n", "timers/b.conf": "# empty\n"}
SYNTAX = {
    'server { server_name "a;b{c}"; }': True,
    "server { server_name 'it is'; } # } not the end": True,
    "server { listen 127.0.0.1:1; set $a x${request_uri}y; }": True,
    'map $http_upgrade $kind { default "";\n "~^a{2}" b; }': True,
    'log_format own "a\\"b" \'c\';': True,
    "server { listen 127.0.0.1:1": False,
    "server { } }": False,
    "server { listen 127.0.0.1:1; ; }": False,
    'server { server_name "open; }': False,
    "{ }": False,
    "server { listen 127.0.0.1:1 }": False,
}


def read(text: str, **others: str) -> Reading:
    """What this file says."""
    return nginx.read("nginx.conf", Texts({"nginx.conf": text, **OTHERS, **others}))


def route(text: str, path: str) -> Route:
    """The route of this path on port 8080."""
    (found,) = read(text).serving(8080, path)
    return found


def timer(found: Route, name: str) -> Timer:
    """The timer of this name."""
    (one,) = (each for each in found.timers if each.name == name)
    return one


@pytest.mark.parametrize(("http", "is_good"), SYNTAX.items())
def test_what_nginx_takes_is_parsed_and_nothing_else(http: str, is_good: bool, tmp_path: Path) -> None:
    """The real `nginx -t` and the parser agree on quotes, comments, variables and braces."""
    assert nginx_accepts(http, tmp_path) == is_good

    try:
        parse("nginx.conf", Texts({"nginx.conf": "http {" + http + "\n}"}))
    except SpecError:
        assert not is_good
    else:
        assert is_good


def test_a_word_has_no_quotes_and_its_own_line() -> None:
    """Quotes are taken away, escapes of quotes too, and lines are counted through them and through comments."""
    text = '# one\na "b\nc" d\\;e;\n\nf {\n  g "x\\"y";\n}\n'

    found = parse("n", Texts({"n": text}))

    assert found[0] == Directive("a", ("b\nc", "d\\;e"), "n", 2)
    assert found[1].block == (Directive("g", ('x"y',), "n", 6),)


def test_a_location_has_its_own_timer_before_the_servers_and_the_http_blocks() -> None:
    """The innermost directive counts, with its file and line; what is nowhere is nginx's default."""
    found = route(INHERITED, "/v1/chat/completions")

    assert timer(found, "proxy_read_timeout").value == Duration.parse("90min")
    assert timer(found, "proxy_read_timeout").source == "proxy_read_timeout in nginx.conf:15"
    assert timer(found, "proxy_connect_timeout").source == "proxy_connect_timeout in nginx.conf:12"
    assert timer(found, "proxy_send_timeout").source == "proxy_send_timeout in timers/a.conf:1"
    assert timer(found, "keepalive_timeout").source == "nginx's default keepalive_timeout"
    assert timer(found, "keepalive_timeout").mend(Duration.parse("4s")) == (
        "write keepalive_timeout 4s; in the upstream of nginx.conf:5"
    )
    assert timer(route(INHERITED, "/"), "proxy_read_timeout").source == "proxy_read_timeout in nginx.conf:3"


def test_a_nested_location_inherits_and_the_longest_path_counts() -> None:
    """/v1/embeddings has the timer of /v1/, and another host."""
    found = route(INHERITED, "/v1/embeddings")

    assert timer(found, "proxy_read_timeout").value == Duration.parse("90min")
    assert [(each.host, each.port, each.place) for each in found.callees] == [("vectors", 6333, "nginx.conf:18")]


@pytest.mark.parametrize(
    ("path", "host", "name", "value"),
    [("/grpc.Model", "model-1", "grpc_read_timeout", "7s"), ("/py/x", "model-1", "uwsgi_read_timeout", "60s")],
)
def test_grpc_and_uwsgi_are_read_too(path: str, host: str, name: str, value: str) -> None:
    """Each module has timers of its own name; a variable that is set nearby is followed."""
    found = route(INHERITED, path)

    assert found.callees[0].host == host
    assert timer(found, name).value == Duration.parse(value)


def test_the_next_server_is_tried_once_each_and_a_sent_post_only_when_it_is_asked_for() -> None:
    """Two servers are two attempts, whatever more tries say."""
    default, asked = route(INHERITED, "/").retries, route(INHERITED, "/v1/chat").retries

    assert (default.attempts("connect"), default.attempts("idle"), default.is_default) == (2, 1, True)
    assert (asked.attempts("connect"), asked.attempts("idle"), asked.place) == (2, 2, "nginx.conf:16")


@pytest.mark.parametrize(
    ("words", "attempts"),
    [("off", 1), ("http_500", 1), ("error", 2), ("error; proxy_next_upstream_timeout 2s", 2),
     ("error; proxy_next_upstream_timeout 1s", 1), ("error; proxy_next_upstream_tries 1", 1)],
)  # fmt: skip
def test_what_limits_the_next_server_limits_the_attempts(words: str, attempts: int) -> None:
    """`off`, other conditions, a time and a number of tries."""
    text = INHERITED.replace("proxy_connect_timeout 2s;", f"proxy_connect_timeout 2s; proxy_next_upstream {words};")

    assert route(text, "/").retries.attempts("connect") == attempts


@pytest.mark.parametrize(
    ("directives", "says", "is_certain"),
    [
        ("", "HTTP/1.0", True),
        ("proxy_http_version 1.1;", "without chunks", False),
        ("gzip on; gzip_types text/event-stream; proxy_http_version 1.1;", "compresses event streams", True),
        ("gzip on; gzip_types *;", "compresses event streams", True),
        ("gzip on;", "HTTP/1.0", True),
    ],
)
def test_what_holds_tokens_back(directives: str, says: str, is_certain: bool) -> None:
    """Buffers before HTTP/1.0, and gzip together with buffers; what to write is the same."""
    (hold,) = route(INHERITED.replace("listen 8080;", f"listen 8080; {directives}"), "/").holds

    assert says in hold.sentence
    assert hold.is_certain == is_certain
    assert hold.mend == "write proxy_buffering off; in the location of nginx.conf:13"


def test_nothing_is_held_back_without_buffers() -> None:
    """With `proxy_buffering off` even gzip flushes each token (measured with nginx 1.22)."""
    text = INHERITED.replace("listen 8080;", "listen 8080; proxy_buffering off; gzip on; gzip_types text/event-stream;")

    assert route(text, "/").holds == ()


def test_what_nginx_keeps_for_its_clients() -> None:
    """keepalive_timeout and the like are those of the server."""
    kept, *_ = read(INHERITED).own

    assert (kept.kind, kept.value, kept.source) == (
        "keep-alive", Duration.parse("20s"), "keepalive_timeout in timers/a.conf:2"
    )  # fmt: skip


def test_without_a_file_the_defaults_are_known() -> None:
    """The documented values."""
    (found,) = nginx.defaults().routes

    assert {each.name: str(each.value) for each in found.timers} == {
        "proxy_connect_timeout": "60s", "proxy_send_timeout": "60s", "proxy_read_timeout": "60s",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("events {}", "nginx.conf: has no http block"),
        ("http { server { proxy_read_timeout soon; location / { proxy_pass http://m; } } }", "'soon' is no duration"),
        ("include nginx.conf;", "includes too many files"),
        ("http {", "nginx.conf:1: ends within"),
    ],
)
def test_what_cannot_be_read_says_why(text: str, says: str) -> None:
    """A circle of includes, a broken value, another kind of file."""
    with pytest.raises(SpecError, match=says):
        read(text)


def test_an_http_block_without_a_server_has_no_routes() -> None:
    """Debian's own nginx.conf, whose servers are in other files."""
    found = read("http { keepalive_timeout 65; include /etc/nginx/conf.d/*.conf; }")

    assert found.routes == ()
    assert found.own[0].value == Duration.parse("65s")
