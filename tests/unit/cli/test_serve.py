"""`chaoskit serve`: one line, then a server, until Ctrl-C."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import typer

from chaoskit.cli.serve import serve
from chaoskit.errors import RefusedError, SpecError
from chaoskit.server.malformations import BY_NAME

_app = typer.Typer()
_app.command()(serve)
NOTHING_GIVEN = typer.Context(typer.main.get_command(_app))
COMMAND = [sys.executable, "-c", "import typer; from chaoskit.cli.serve import serve; typer.run(serve)"]


@contextmanager
def served(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command at work, and its one line."""
    process = subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline()
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_serves_until_it_is_interrupted(sign: int, code: int) -> None:
    """The line's own example works as typed; Ctrl-C ends the server cleanly, in the middle of a stream too."""
    with served("--port", "0", "--first-token", "1ms", "--first-token-p99", "1ms") as (process, line):
        example = line.split("try: ")[1]
        answer = subprocess.run(example, shell=True, capture_output=True, text=True, check=True).stdout
        port = int(re.findall(r"http://127.0.0.1:(\d+) ", line)[0])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
            sock.sendall(b"GET /sse?tokens=100000 HTTP/1.1\r\nhost: x\r\n\r\n")
            assert sock.recv(100)
            process.send_signal(sign)
            ended = process.wait(10)

    assert answer.count('"chaoskit"') == 50
    assert answer.endswith("data: [DONE]\n\n")
    assert ended == code


def test_speaks_ipv6() -> None:
    """An IPv6 address is listened on and shown in brackets."""
    with served("--port", "0", "--host", "::1") as (_, line):
        assert re.match(r"http://\[::1\]:\d+ until Ctrl-C; try: curl -N http://\[::1\]:\d+/", line)


@pytest.mark.parametrize(
    ("host", "warned"), [("127.0.0.1", False), ("127.0.0.9", False), ("::1", False), ("0.0.0.0", True), ("::", True)]
)
def test_a_public_address_gets_a_warning(host: str, warned: bool) -> None:
    """Bound to more than loopback, one line says that everyone who can reach the server may use it."""
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", "--host", host], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    port = re.findall(r":(\d+) until", process.stdout.readline())[0]
    subprocess.run(
        ["curl", "-sS", f"http://{host if '.' in host else '[::1]'}:{port}/"], check=True, capture_output=True
    )
    process.terminate()
    _, said = process.communicate(timeout=10)

    assert said.count("everyone who can reach this address can use the server; for this machine only: --host") == warned
    assert said.count("\n") == warned


def test_a_port_in_use_is_refused() -> None:
    """The message names the port, and what to type next."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(RefusedError, match=f"port {port}: in use .* try --port 0 .* ss -ltnp sport = :{port}"):
            serve(NOTHING_GIVEN, port=port)


def test_an_address_of_another_machine_is_refused() -> None:
    """So is a host that is not this one, or none at all."""
    for host in ("192.0.2.1", "nowhere.invalid"):
        with pytest.raises(RefusedError, match=f"cannot listen on {host} .* ip address"):
            serve(NOTHING_GIVEN, host=host)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"first_token": "150"}, "--first-token: '150' has no unit"),
        ({"first_token_p99": "1kB"}, "--first-token-p99: "),
        ({"token_interval": "fast"}, "--token-interval: "),
        ({"first_token": "1s", "first_token_p99": "400ms"}, "--first-token-p99 400ms is below --first-token 1s"),
        ({"cert": __file__}, "--cert and --key go together"),
        ({"cert": __file__, "key": __file__}, "not a certificate and its key"),
    ],
)
def test_options_that_make_no_sense_are_named(options: dict[str, str], names: str) -> None:
    """A wrong option is the author's mistake, with what was expected."""
    with pytest.raises(SpecError, match=names):
        serve(NOTHING_GIVEN, **options)  # type: ignore[arg-type]


def test_a_script_is_followed() -> None:
    """`--script NAME` makes every response the named one."""
    with served("--port", "0", "--first-token", "1ms", "--first-token-p99", "1ms", "--script", "html-in-200") as (
        _,
        line,
    ):
        answer = subprocess.run(line.split("try: ")[1], shell=True, capture_output=True, text=True, check=True).stdout

    assert "<center><h1>502 Bad Gateway" in answer


def test_the_list_fits_a_terminal() -> None:
    """`--list` shows every name with its sentence in 80 columns, and starts no server."""
    told = subprocess.run(
        [*COMMAND, "--list"], capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "80"}
    ).stdout
    names = re.findall(r"^  ([a-z][a-z0-9-]+)  ", told, re.MULTILINE)

    assert names == list(BY_NAME)
    assert max(map(len, told.splitlines())) <= 80


def test_nothing_heavy_for_help() -> None:
    """Reading the command's options imports no server."""
    code = "import sys, chaoskit.cli.serve; print([m for m in ('h2', 'h11', 'asyncio') if m in sys.modules])"

    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
