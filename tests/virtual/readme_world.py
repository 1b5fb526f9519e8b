"""Runs the shell lines of a page as root in a guest where `llm.example.com` exists: `readme_world.py FOLDER`.

The guest's only way out leads to another network namespace, in which the reference server answers on port 443 with a
certificate for that name. FOLDER/lines.json is a list of lines, which bash runs as they stand; FOLDER/answer.json gets
[exit code, output] of each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

NAME, ADDRESS, GATEWAY, OWN = "llm.example.com", "203.0.113.7", "192.0.2.1", "192.0.2.2"
NETWORK = f"""
ip link set lo up
ip netns add internet
ip link add eth0 type veth peer name there netns internet
ip address add {OWN}/24 dev eth0
ip link set eth0 up
ip -n internet address add {GATEWAY}/24 dev there
ip -n internet link set there up
ip -n internet address add {ADDRESS}/32 dev lo
ip -n internet link set lo up
ip route add default via {GATEWAY}
"""
CLIENT = f"""
import json, urllib.request
body = json.dumps({{"model": "my-model", "stream": True, "messages": [{{"role": "user", "content": "hello"}}]}})
request = urllib.request.Request(
    "https://{NAME}/v1/chat/completions", body.encode(), {{"content-type": "application/json"}}
)
with urllib.request.urlopen(request) as answer:
    print(sum(line.startswith(b"data:") for line in answer), "events")
"""


def main() -> int:
    """Build the world, run the lines in it, and write what came of each."""
    folder = Path(sys.argv[1])
    lines = json.loads((folder / "lines.json").read_text())
    for command in NETWORK.strip().splitlines():
        subprocess.run(command.split(), check=True)
    (folder / "hosts").write_text(f"127.0.0.1 localhost\n{ADDRESS} {NAME}\n")
    subprocess.run(["mount", "--bind", str(folder / "hosts"), "/etc/hosts"], check=True)
    (folder / "my_client.py").write_text(CLIENT)
    tools = folder / "tools"
    tools.mkdir()
    (tools / "sudo").write_text('#!/bin/sh\nexec "$@"\n')  # root is there already
    (tools / "sudo").chmod(0o755)
    environment = os.environ | {
        "PATH": f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SSL_CERT_FILE": str(folder / "chain.pem"),
        "MY_KEY": "secret",
        "CHAOSKIT_STATE": str(folder / "state"),
    }
    server = _serve(folder, environment)
    try:
        (folder / "answer.json").write_text(json.dumps([_typed(line, folder, environment) for line in lines]))
    finally:
        server.terminate()
        server.wait()
    return 0


def _serve(folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """The reference server with a certificate for its name, once it answers."""
    key, chain = folder / "key.pem", folder / "chain.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "9999", "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"),
            *("-keyout", str(key), "-out", str(chain)),
        ],
        check=True,
        capture_output=True,
    )
    words = ["chaoskit", "serve", "--host", ADDRESS, "--port", "443", "--cert", str(chain), "--key", str(key)]
    server = subprocess.Popen(
        ["ip", "netns", "exec", "internet", *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert server.stdout is not None
    assert ADDRESS.encode() in server.stdout.readline()
    return server


def _typed(line: str, folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    ended = subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout


if __name__ == "__main__":
    sys.exit(main())
