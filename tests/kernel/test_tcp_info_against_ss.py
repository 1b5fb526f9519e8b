"""chaoskit's parsing of TCP_INFO agrees with iproute2's."""

import json
import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

from chaoskit.kernel import tcp_counters
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import Knob, Link
from chaoskit.records import tcp_info


def test_agrees_with_ss() -> None:
    """Every number that `ss -ti` prints of an idle connection equals the parsed one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    with client, server:
        client.sendall(b"x" * 100_000)
        received = 0
        while received < 100_000:
            received += len(server.recv(65536))
        while tcp_info.sample(client)["unacked"]:  # the last acknowledgement may be delayed
            pass
        port = client.getsockname()[1]
        printed = subprocess.run(
            ["ss", "-tinH", "sport", "=", f":{port}"], capture_output=True, text=True, check=True
        ).stdout
        ours = tcp_info.sample(client)

    words = {word: float(number) for word, number in re.findall(r"(\w+):([\d.]+)", printed)}
    same = {"mss": "snd_mss", "pmtu": "pmtu", "rcvmss": "rcv_mss", "advmss": "advmss", "cwnd": "snd_cwnd"}
    same |= {name: name for name in ("bytes_sent", "bytes_acked", "segs_out", "segs_in", "data_segs_out")}
    same |= {"rcv_ssthresh": "rcv_ssthresh", "rcv_space": "rcv_space", "snd_wnd": "snd_wnd"}
    compared = {word: name for word, name in same.items() if word in words}

    assert len(compared) >= 10, printed
    for word, name in compared.items():
        assert words[word] == ours[name], word
    assert words["rtt"] == ours["rtt"] / 1000
    assert words["minrtt"] == ours["min_rtt"] / 1000


def test_a_namespace_s_counters_are_those_of_nstat(kernel: LinuxKernel, tmp_path: Path) -> None:
    """By the same names, between two readings of ours, where a closed port has answered."""
    kernel.write(Knob("link", "here", "lo"), Link(up=True, mtu=65536, gso_max_segs=65535))
    words, own = ("nstat", "-az", "--json"), {**os.environ, "NSTAT_HISTORY": str(tmp_path / "history")}
    with kernel.inside("here"):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", 9))
        before, missing = tcp_counters.counters()
        ran = subprocess.run(words, capture_output=True, text=True, check=True, env=own)
        after, _ = tcp_counters.counters()

    theirs = json.loads(ran.stdout)["kernel"]
    names = [name for name in before if name in theirs]
    assert set(names) >= {"TcpRetransSegs", "TcpInCsumErrors", "TcpExtTCPTimeouts", "TcpExtTCPSpuriousRTOs"}
    assert all(before[name] <= theirs[name] <= after[name] for name in names)
    assert before["TcpOutRsts"] == 1
    assert set(tcp_counters.KEPT) - before.keys() == set(missing) & set(tcp_counters.KEPT)
