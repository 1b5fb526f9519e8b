"""Injections into containers, whose process an API with the shape of Docker's names on a unix socket."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import UnixStreamServer
from typing import Any

import pytest
from commands import typed
from lab import run, wait_for

import chaoskit.container_engines  # noqa: F401  imported once, for all forks
from chaoskit.engine.lease import Leases

FAULT = ("-i", "lo", "--everything", "--down", "delay 1ms")
DOCKER, PODMAN = Path("/var/run/docker.sock"), Path("/run/podman/podman.sock")
ID = "4f66ad9a0b2e" + "0" * 52
HANG = 0


class Engine:
    """A server with the shape of Docker's API on a unix socket; `answers` has status and body of each container."""

    def __init__(self, place: Path) -> None:
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.closing = threading.Event()
        engine = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                name = self.path.removeprefix("/containers/").removesuffix("/json")
                missing = json.dumps({"message": f"No such container: {name}"}).encode()
                status, body = engine.answers.get(name, (404, missing))
                if status == HANG:
                    engine.closing.wait(60)
                    return
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with suppress(OSError):
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                return

            def address_string(self) -> str:
                return "unix"

        place.parent.mkdir(parents=True, exist_ok=True)
        self.place, self.server = place, UnixStreamServer(str(place), Handler)

    def run(self, name: str, pid: int, status: str = "running", ago: int = 0) -> None:
        """Answer for a container with this process, which was started so many seconds ago."""
        began = time.strftime("%Y-%m-%dT%H:%M:%S.123456789Z", time.gmtime(time.time() - ago))
        state = {"Status": status, "Running": status == "running", "Pid": pid, "StartedAt": began}
        self.answers[name] = 200, json.dumps({"Id": ID, "Name": f"/{name}", "State": state}).encode()

    def close(self) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self.place.unlink()


@contextmanager
def served(place: Path) -> Iterator[Engine]:
    """An engine at this place, in a thread."""
    engine = Engine(place)
    thread = threading.Thread(target=engine.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield engine
    finally:
        engine.close()
        thread.join()


@pytest.fixture
def engine() -> Iterator[Engine]:
    """Docker's socket, served in a thread."""
    with served(DOCKER) as engine:
        yield engine


@pytest.fixture
def container() -> Iterator[int]:
    """The process of a container, in a network namespace of its own, in which loopback is up."""
    run("ip", "netns", "add", "box")
    run("ip", "-n", "box", "link", "set", "lo", "up")
    pid = int(run("sh", "-c", "ip netns exec box sleep 600 >/dev/null 2>&1 & echo $!"))
    wait_for(lambda: Path(f"/proc/{pid}/ns/net").stat().st_ino == Path("/run/netns/box").stat().st_ino)
    run("ip", "netns", "delete", "box")
    yield pid
    os.kill(pid, signal.SIGKILL)


def refusal(home: Path, name: str, code: int = 3) -> str:
    """What an injection into this container says; nothing was changed."""
    answer, said = typed(home, "inject", "--container", name, *FAULT, "--for", "9s")
    assert answer == code, said
    assert not home.exists()
    return " ".join(said.split())


def test_an_injection_into_a_container(tmp_path: Path, engine: Engine, container: int) -> None:
    """By its name: in force in its namespace and not here, told by status, restored by the same name."""
    home = tmp_path / "state"
    engine.run("web", container)

    code, said = typed(home, "inject", "--container", "web", *FAULT, "--for", "60s", "--detach")

    assert code == 0, said
    assert "in the network namespace of container web" in said
    assert "clsact" in run("nsenter", f"--net=/proc/{container}/ns/net", "tc", "qdisc")
    assert "clsact" not in run("tc", "qdisc")
    told = json.loads(typed(home, "status", "--container", "web", "--json")[1])["leases"][0]
    assert (told["is_here"], told["injection"]["container"]) == (True, "web")
    code, said = typed(home, "restore", "--container", "web")
    assert code == 0, said
    assert "clsact" not in run("nsenter", f"--net=/proc/{container}/ns/net", "tc", "qdisc")
    assert not Leases(home).all().leases


def test_every_answer_of_an_engine_is_bounded_and_told(tmp_path: Path, engine: Engine, container: int) -> None:
    """No such container, one that is stopped, an error, nonsense, too much, nothing: one sentence each, soon."""
    home = tmp_path / "state"
    engine.run("stopped", 0, "exited")
    engine.run("foreign", container, ago=3600)
    engine.run("ended", 4194304)
    engine.answers |= {
        "broken": (500, b'{"message": "no space left on device"}'),
        "nonsense": (200, b"<html>"),
        "list": (200, b"[1]"),
        "odd": (200, json.dumps({"Id": ID, "State": {"Pid": "1"}}).encode()),
        "true": (200, json.dumps({"Id": ID, "State": {"Pid": True}}).encode()),
        "deep": (200, b'{"State":' + b"[" * 100_000),
        "huge": (200, b" " * (5 << 20)),
        "silent": (HANG, b""),
    }

    for name, sentence in (
        ("nobody", "container nobody not found: /run/docker.sock has no such container"),
        ("stopped", "it does not run (exited); docker start stopped"),
        ("foreign", f"process {container} here is not of container foreign: its engine is in a virtual machine"),
        ("ended", "no process 4194304 here"),
        ("broken", "answered 500 'no space left on device'"),
        ("nonsense", "gave an answer that is not Docker's"),
        ("list", "gave an answer that is not Docker's"),
        ("odd", "gave an answer that is not Docker's"),
        ("true", "gave an answer that is not Docker's"),
        ("deep", "gave an answer that is not Docker's"),
        ("huge", "gave an answer of more than 4 MB"),
        ("silent", "did not answer within 5 s"),
    ):
        began = time.monotonic()

        assert sentence in refusal(home, name)
        assert time.monotonic() - began < 30


def test_only_sockets_of_root_are_asked(
    tmp_path: Path, engine: Engine, container: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket that another user owns, or could replace, an engine on another machine, and a dead socket."""
    home = tmp_path / "state"
    engine.run("web", container)

    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    assert "only an engine on this machine has namespaces here: unset DOCKER_HOST" in refusal(home, "web")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert "none.sock: No such file or directory" in refusal(home, "web")
    monkeypatch.setenv("DOCKER_HOST", "unix:///etc/hosts")
    assert "/etc/hosts is no socket" in refusal(home, "web")
    os.chown(DOCKER, 1000, 0)
    monkeypatch.delenv("DOCKER_HOST")
    assert "/var/run/docker.sock belongs to user 1000, so it is not asked" in refusal(home, "web")
    os.chown(DOCKER, 0, 0)
    Path("/run/open").mkdir(mode=0o777, exist_ok=True)
    Path("/run/open").chmod(0o777)
    with served(Path("/run/open/docker.sock")):
        monkeypatch.setenv("DOCKER_HOST", "unix:///run/open/docker.sock")
        assert "/run/open can be written by group and others" in refusal(home, "web")


def test_docker_and_podman_are_asked_both(tmp_path: Path, engine: Engine, container: int) -> None:
    """What one does not have the other is asked for; the same name in both is not decided for the user."""
    home = tmp_path / "state"
    with served(PODMAN) as podman:
        podman.run("web", container)
        code, said = typed(home, "status", "--container", "web")
        assert code == 0, said
        engine.answers["web"] = 200, podman.answers["web"][1].replace(ID.encode(), b"9" * 64)
        assert "Docker and Podman each have a container web: give its id" in refusal(home, "web")
    assert "does not answer" in _dead(home)


def _dead(home: Path) -> str:
    """What is said of a socket that nobody listens on any more."""
    DOCKER.rename(DOCKER.with_name("moved.sock"))
    try:
        PODMAN.parent.mkdir(exist_ok=True)
        with served(PODMAN) as podman:
            podman.server.socket.close()
            return refusal(home, "web")
    finally:
        DOCKER.with_name("moved.sock").rename(DOCKER)
