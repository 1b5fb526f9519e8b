"""The server over TLS."""

import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from serving import SCRIPT, Running, running

from chaoskit.errors import SpecError
from chaoskit.server.app import tls

MAKE = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test"


def hear_some(sock: socket.socket) -> None:
    """Until the fourth token has come, in whatever pieces."""
    heard = b""
    while b": chaoskit 3 " not in heard:
        piece = sock.recv(65536)
        assert piece, "the server closed"
        heard += piece


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key."""
    folder = tmp_path_factory.mktemp("tls")
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run([*MAKE.split(), *names], cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def server(tmp_path: Path, pair: tuple[Path, Path]) -> Iterator[Running]:
    """With that certificate."""
    with running(tmp_path, replace(SCRIPT, tls=tls(*pair))) as server:
        yield server


@pytest.mark.parametrize(("http2", "version"), [(False, "HTTP/1.1"), (True, "HTTP/2")])
def test_alpn_chooses_the_version(server: Running, pair: tuple[Path, Path], http2: bool, version: str) -> None:
    """A client that offers HTTP/2 gets it, any other HTTP/1.1; both get the complete stream."""
    with (
        httpx.Client(http2=http2, verify=ssl.create_default_context(cafile=pair[0])) as client,
        client.stream("GET", f"{server.url}/sse?tokens=30") as reply,
    ):
        lines = list(reply.iter_lines())

    assert reply.http_version == version
    assert [line for line in lines if line.startswith("data: ")][-1] == "data: [DONE]"
    assert sum(line.startswith(": chaoskit") for line in lines) == 30
    (served,) = server.served_when(1)
    assert served.tcp_info["bytes_sent"] > 30 * 20


def test_stopping_aborts_tls_streams_too(server: Running, pair: tuple[Path, Path]) -> None:
    """An open stream over TLS ends when the server stops."""
    context = ssl.create_default_context(cafile=pair[0])
    with context.wrap_socket(server.connect(), server_hostname="127.0.0.1") as sock:
        sock.sendall(b"GET /sse?tokens=100000 HTTP/1.1\r\nhost: x\r\n\r\n")
        hear_some(sock)
        server.stop()
        while sock.recv(65536):
            pass

    assert [record.outcome for record in server.served()] == ["failed"]


def test_a_disconnect_over_tls_is_recorded(server: Running, pair: tuple[Path, Path]) -> None:
    """A client that disconnects over TLS is recorded as client-left, without TCP_INFO: its socket is closed."""
    context = ssl.create_default_context(cafile=pair[0])
    with context.wrap_socket(server.connect(), server_hostname="127.0.0.1") as sock:
        sock.sendall(b"GET /sse?tokens=100000 HTTP/1.1\r\nhost: x\r\n\r\n")
        hear_some(sock)

    assert [record.outcome for record in server.served_when(1)] == ["client-left"]


def test_plain_http_to_a_tls_port_affects_no_other_client(server: Running, pair: tuple[Path, Path]) -> None:
    """A client that forgot TLS is dropped; the next one is served."""
    with server.connect() as sock:
        sock.sendall(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"HTTP" not in sock.recv(4096)
    with httpx.Client(verify=ssl.create_default_context(cafile=pair[0])) as client:
        assert client.get(f"{server.url}/v1/models").status_code == 200


def test_mismatched_certificate_files_are_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """Files that are missing, swapped or not PEM are a SpecError that names them."""
    (junk := tmp_path / "junk.pem").write_text("junk")
    for certificate, key in [(tmp_path / "none", pair[1]), (pair[1], pair[0]), (pair[0], junk)]:
        with pytest.raises(SpecError, match=certificate.name):
            tls(certificate, key)
