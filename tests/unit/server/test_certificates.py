"""The lab server's certificate chain is trusted by clients of the lab, and by no others."""

from __future__ import annotations

import ssl
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from edge_lab import SERVER_V4, SERVER_V6

from chaoskit.server import certificates

TOP = Path(__file__).parents[3]
SEGMENT = 1460  # bytes of payload in a packet of 1500


def shake_hands(host: str, trusting: ssl.SSLContext) -> int:
    """The bytes of the server's first TLS flight; raises the client's verification error."""
    heard, asked, got, answered = (ssl.MemoryBIO() for _ in range(4))
    client = trusting.wrap_bio(heard, asked, server_hostname=host)
    server = certificates.context().wrap_bio(got, answered, server_side=True)
    for side in (client, server):
        with pytest.raises(ssl.SSLWantReadError):
            side.do_handshake()
        got.write(asked.read())
    flight = answered.read()
    heard.write(flight)
    client.do_handshake()
    return len(flight)


@pytest.mark.parametrize("host", [SERVER_V4, SERVER_V6])
def test_clients_of_the_lab_trust_it(host: str) -> None:
    """At either address, with strict verification; and its first flight exceeds one packet."""
    trusting = ssl.create_default_context(cafile=certificates.ROOT)
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT

    assert shake_hands(host, trusting) > 1.5 * SEGMENT


@pytest.mark.parametrize(("host", "root"), [("10.2.0.2", certificates.ROOT), (SERVER_V4, None)])
def test_other_clients_do_not_trust_it(host: str, root: Path | None) -> None:
    """It is not valid for other addresses, and not trusted by the system's authorities."""
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(host, ssl.create_default_context(cafile=root))


@pytest.mark.parametrize("name", ["identity-root.pem", "identity-chain.pem"])
def test_it_is_valid_for_decades(name: str) -> None:
    """Each certificate is valid from 2020 to 2120, so that it works with any clock of a guest."""
    folder = certificates.ROOT.parent
    parts = [f"-----BEGIN{part}" for part in (folder / name).read_text().split("-----BEGIN")[1:]]

    for part in parts:
        told = subprocess.run(
            ["openssl", "x509", "-noout", "-dates"], input=part, capture_output=True, text=True, check=True
        )
        dates = [line.partition("=")[2] for line in told.stdout.splitlines()]
        begin, end = (datetime.strptime(date, "%b %d %H:%M:%S %Y %Z").replace(tzinfo=UTC) for date in dates)
        assert begin <= datetime(2020, 1, 1, tzinfo=UTC)
        assert end - begin > timedelta(days=36_000)
    assert len(parts) == (1 if "root" in name else 2)


def test_an_installed_chaoskit_has_it_too(tmp_path: Path) -> None:
    """Chain, key and root are in the wheel."""
    words = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(words, cwd=TOP, check=True, capture_output=True)

    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    assert {f"chaoskit/server/identity-{part}.pem" for part in ("root", "chain", "key")} <= held
