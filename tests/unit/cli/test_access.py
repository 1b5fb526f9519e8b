"""How `chaoskit probe` reaches an endpoint: keys, headers, certificates, proxies; and that no secret is left behind."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from asked_endpoint import Asked, Endpoint, completes, endpoint, everything_in, probe, reply, serve, stream

MODEL = ("--model", "m")
KEY = "sk-a-very-secret-key-of-thirty"
ORG = "organisation-that-nobody-may-know"
PASSWORD = "pa55word-of-the-proxy"


@pytest.mark.parametrize(
    ("protocol", "options", "header", "value"),
    [
        ("openai-chat", (), "authorization", f"Bearer {KEY}"),
        ("anthropic-messages", (), "x-api-key", KEY),
        ("gemini", (), "x-goog-api-key", KEY),
        ("ollama", (), "authorization", f"Bearer {KEY}"),
        ("openai-chat", ("--api-key-header", "api-key"), "api-key", KEY),
        ("openai-chat", ("--api-key-prefix", "Token"), "authorization", f"Token {KEY}"),
        ("openai-chat", ("--api-key-header", "X-Auth", "--api-key-prefix", "Key"), "x-auth", f"Key {KEY}"),
        ("anthropic-messages", ("--api-key-header", "Authorization"), "authorization", f"Bearer {KEY}"),
    ],
)
def test_the_key_is_in_its_header(protocol: str, options: tuple[str, ...], header: str, value: str) -> None:
    """The protocol's own header, or the one that is asked for, with or without a word before the key."""
    with endpoint() as found:
        words = (*MODEL, "--protocol", protocol, "--api-key-env", "MY_KEY", *options)
        probe(found.url, *words, env={"MY_KEY": KEY})

    assert found.posts[0].headers[header] == value


def test_the_key_comes_from_a_file(tmp_path: Path) -> None:
    """White space around it is left out; a file that others can read is a warning with the command against it."""
    file = tmp_path / "key"
    file.write_text(f"\n{KEY}\n")
    file.chmod(0o644)
    with endpoint() as found:
        open_ = probe(found.url, *MODEL, "--api-key-file", str(file))
        file.chmod(0o600)
        closed = probe(found.url, *MODEL, "--api-key-file", str(file))

    assert [each.headers["authorization"] for each in found.posts] == [f"Bearer {KEY}"] * 2
    assert f"can be read by group and others: chmod go= {file}" in open_.stderr
    assert closed.stderr == ""


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "No such file or directory; give the path of a file that holds the key alone"),
        (b"", "is empty; write the key into it"),
        (b"a\nb", "holds something else than a key on one line"),
        (b"\x00\xff", "holds something else than a key on one line"),
        (b"k" * 20_000, "holds something else than a key on one line"),
    ],
)
def test_a_file_without_a_key_is_refused(content: bytes | None, sentence: str, tmp_path: Path) -> None:
    """Missing, empty, several lines, binary, too long: one sentence without the content, and no request."""
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    with endpoint() as found:
        done = probe(found.url, *MODEL, "--api-key-file", str(file))

    assert done.returncode == 2
    assert sentence in done.stderr
    assert not found.asked


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--header", "x-tenant"), "--header: 'x-tenant' has no colon; write for example --header 'x-tenant: blue'"),
        (("--header", "x-tenant:"), "--header: x-tenant has no value; write for example --header 'x-tenant: blue'"),
        (("--header", "x tenant: a"), "--header: 'x tenant' is no name of a header"),
        (("--header", "content-length: 3"), "content-length is set by the client itself; remove it"),
        (("--header-env", "x-tenant:NOBODY_SET_THIS"), "variable NOBODY_SET_THIS is not set"),
        (("--header-env", f"x-tenant:{KEY}"), "--header-env: x-tenant: not the name of an environment variable"),
        (("--api-key-env", KEY), "that is no name of an environment variable"),
        (("--api-key-env", "A", "--api-key-file", "b"), "--api-key-env and --api-key-file exclude each other"),
        (("--api-key-header", "api-key"), "give it with --api-key-env or --api-key-file"),
        (("--api-key-env", "A", "--api-key-header", KEY), "--api-key-header: not the name of a header"),
        (("--client-key", "k"), "give it with --client-cert"),
        (("--insecure", "--ca-file", "c"), "remove one of them"),
        (("--proxy", "127.0.0.1:3128"), "write http://127.0.0.1:3128"),
        (("--proxy", "socks5://127.0.0.1:1080"), "only http:// proxies are known"),
        (("--proxy-env", "NOBODY_SET_THIS"), "variable NOBODY_SET_THIS is not set"),
        (("--uds", "/nowhere/socket"), "/nowhere/socket"),
        (("--uds", "/etc/hosts"), "/etc/hosts"),
        (("--uds", "/etc/hosts", "--proxy", "http://127.0.0.1:9"), "--proxy and --uds exclude each other"),
        (("--uds", "/etc/hosts", "--proxy-env", "MY_PROXY"), "--proxy and --uds exclude each other"),
    ],
)
def test_bad_input_is_one_sentence(options: tuple[str, ...], sentence: str) -> None:
    """It names the option and what to type, shows no secret, ends with 2, and sends nothing."""
    with endpoint() as found:
        done = probe(found.url, *MODEL, *options)

    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert KEY not in done.stderr
    assert PASSWORD not in done.stderr
    assert done.returncode == 2
    assert not found.asked


def test_no_secret_is_left_behind(tmp_path: Path) -> None:
    """A key, a header and a proxy's password are in no record, no output and no process's arguments, echoed or not."""
    seen: list[str] = []

    def answer(asked: Asked) -> bytes:
        seen.extend(path.read_bytes().decode(errors="replace") for path in _command_lines())
        if len(seen) % 2:
            return stream()
        return reply(401, {"error": {"message": f"{asked.headers}"}})

    out = tmp_path / "run"
    file = tmp_path / "key"
    file.write_text(KEY)
    file.chmod(0o600)
    with endpoint(answer) as found, proxy() as (proxy_url, asked_proxy):
        words = (*MODEL, "--requests", "4", "--api-key-file", str(file), "--header-env", "x-org:ORG")
        secret_proxy = proxy_url.replace("//", f"//user:{PASSWORD}@")
        more = ("--proxy-env", "MY_PROXY", "--out", str(out), "--json")
        program = [sys.executable, "-m", "chaoskit", "probe", found.url, *words, *more]
        environment = os.environ | {"ORG": ORG, "MY_PROXY": secret_proxy}
        done = subprocess.run(program, capture_output=True, text=True, check=False, env=environment)
        reported = subprocess.run(
            [sys.executable, "-m", "chaoskit", "report", str(out)], capture_output=True, text=True, check=False
        )

    assert found.posts[0].headers["x-org"] == ORG
    assert asked_proxy
    assert b"proxy-authorization: basic" in asked_proxy[0].lower()
    everywhere = "".join((everything_in(out), done.stdout, done.stderr, reported.stdout, reported.stderr, *seen))
    for secret in (KEY, ORG, PASSWORD):
        assert secret not in everywhere
    assert "through the proxy http://127.0.0.1" in " ".join(reported.stdout.split())


def _command_lines() -> Iterator[Path]:
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and (process / "cmdline").exists():
            with contextlib.suppress(OSError):
                (process / "cmdline").read_bytes()
                yield process / "cmdline"


@contextlib.contextmanager
def proxy() -> Iterator[tuple[str, list[bytes]]]:
    """An HTTP proxy for plain requests and tunnels; yields its URL, and the heads that it got."""
    heads: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def one(near: socket.socket) -> None:
            with near, contextlib.suppress(OSError):
                head = b""
                while b"\r\n\r\n" not in head:
                    head += near.recv(65536)
                heads.append(head)
                method, place, _ = head.split(b" ", 2)
                host = place if method == b"CONNECT" else place.split(b"/")[2]
                name, _, port = host.decode().rpartition(":")
                with socket.create_connection((name, int(port))) as far:
                    if method == b"CONNECT":
                        near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    else:
                        far.sendall(head.replace(b"http://" + host, b"", 1))
                    threading.Thread(target=_copy, args=(near, far), daemon=True).start()
                    _copy(far, near)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", heads
        listener.shutdown(socket.SHUT_RDWR)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)


def test_a_proxy_is_told_as_part_of_the_path() -> None:
    """The requests go through it, and the report says so."""
    with endpoint() as found, proxy() as (url, heads):
        done = probe(found.url, *MODEL, "--proxy", url)

    assert done.returncode == 0, done.stderr
    assert len(heads) == len(found.posts) == 1
    assert f"through the proxy {url}" in " ".join(done.stdout.split())


def test_a_secret_on_the_command_line_is_a_warning(tmp_path: Path) -> None:
    """It works, it is in no record, and the warning says how to hide it from the process list."""
    with endpoint() as found, proxy() as (url, heads):
        secret_proxy = url.replace("//", f"//user:{PASSWORD}@")
        words = ("--header", f"Authorization: Bearer {KEY}", "--proxy", secret_proxy, "--out", str(tmp_path / "run"))
        done = probe(found.url, *MODEL, *words)

    assert done.returncode == 0, done.stderr
    assert found.posts[0].headers["authorization"] == f"Bearer {KEY}"
    assert b"proxy-authorization" in heads[0].lower()
    assert "--header-env Authorization:VARIABLE hides it" in done.stderr
    assert "--proxy-env VARIABLE hides it" in done.stderr
    for secret in (KEY, PASSWORD):
        assert secret not in everything_in(tmp_path / "run") + done.stdout + done.stderr


def test_a_proxy_of_the_environment_that_is_not_used_is_a_warning() -> None:
    """HTTP_PROXY and ALL_PROXY for this URL, unless NO_PROXY excludes the host or a proxy is given."""
    with endpoint() as found:
        warned = probe(found.url, *MODEL, env={"HTTP_PROXY": f"http://u:{PASSWORD}@127.0.0.1:9"})
        all_ = probe(found.url, *MODEL, env={"all_proxy": "http://127.0.0.1:9"})
        excluded = probe(found.url, *MODEL, env={"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"})
        other = probe(found.url, *MODEL, env={"HTTPS_PROXY": "http://127.0.0.1:9"})

    assert "HTTP_PROXY is set and not used" in warned.stderr
    assert "--proxy-env HTTP_PROXY" in warned.stderr
    assert PASSWORD not in warned.stderr
    assert "all_proxy is set and not used" in all_.stderr
    assert excluded.stderr == other.stderr == ""
    assert len(found.posts) == 4


def test_a_unix_socket_is_told(tmp_path: Path) -> None:
    """The requests go over it, with the host of the URL, and the report says so."""
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        found = Endpoint("http://model.example.com")
        serve(listener, found, completes)
        done = probe(found.url, *MODEL, "--uds", str(path), env={"HTTP_PROXY": "http://127.0.0.1:9"})
        listener.shutdown(socket.SHUT_RDWR)

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert found.posts[0].headers["host"] == "model.example.com"
    assert f"over the Unix socket {path}" in done.stdout.replace("\n", " ").replace("  ", " ")


def test_insecure_is_said_aloud(tmp_path: Path) -> None:
    """An unknown certificate is refused; --insecure takes it, and the report and its records say so."""
    context = _server_context(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = Endpoint(f"https://127.0.0.1:{listener.getsockname()[1]}")
        serve(listener, found, completes, context)
        refused = probe(found.url, *MODEL)
        taken = probe(found.url, *MODEL, "--insecure")
        listener.shutdown(socket.SHUT_RDWR)

    assert refused.returncode == 3
    assert "--insecure" in refused.stderr or "certificate" in refused.stderr
    assert taken.returncode == 0, taken.stderr
    assert "insecure: the certificate of the endpoint was not verified" in " ".join(taken.stdout.split())


def test_insecure_without_tls_is_not_said() -> None:
    """No certificate was there to be verified."""
    with endpoint() as found:
        done = probe(found.url, *MODEL, "--insecure")

    assert done.returncode == 0, done.stderr
    assert "verified" not in done.stdout


def test_a_certificate_that_cannot_be_used_leaves_nothing_behind(tmp_path: Path) -> None:
    """A missing file, one without a certificate, a key with a passphrase: 2, one sentence, no directory."""
    _server_context(tmp_path)
    (tmp_path / "none.pem").write_text("nothing")
    locked = ("openssl", "pkey", "-in", "key.pem", "-aes256", "-passout", "pass:word", "-out", "locked.pem")
    subprocess.run(locked, cwd=tmp_path, check=True, capture_output=True)
    for options in (
        ("--ca-file", "missing.pem"),
        ("--ca-file", "none.pem"),
        ("--client-cert", "none.pem"),
        ("--client-cert", "cert.pem", "--client-key", "locked.pem"),
    ):
        words = [word if word.startswith("--") else str(tmp_path / word) for word in options]
        done = probe("https://127.0.0.1:9", *MODEL, *words, "--out", str(tmp_path / "run"))

        assert done.returncode == 2, options
        assert str(tmp_path) in done.stderr
        assert done.stderr.count("\n") == 1
        assert not (tmp_path / "run").exists()


def test_a_client_certificate_is_shown(tmp_path: Path) -> None:
    """A server that asks for one gets it, with its key in another file."""
    context = _server_context(tmp_path)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(tmp_path / "cert.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = Endpoint(f"https://127.0.0.1:{listener.getsockname()[1]}")
        serve(listener, found, completes, context)
        words = ("--client-cert", str(tmp_path / "cert.pem"), "--client-key", str(tmp_path / "key.pem"))
        done = probe(found.url, *MODEL, "--insecure", *words)
        listener.shutdown(socket.SHUT_RDWR)

    assert done.returncode == 0, done.stderr
    assert "with a client certificate" in " ".join(done.stdout.split())


def _server_context(folder: Path) -> ssl.SSLContext:
    """A server's, with a certificate that nobody has signed, in `cert.pem` and `key.pem`."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )
    (folder / "key.pem").chmod(0o600)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context
