"""Who the lab's server is to those that speak TLS with it: a chain of certificates, and the root that they trust.

Two certificates with RSA keys of 2048 bits, as many servers have them: what the server answers to a client's first
message is longer than one packet of 1500 bytes. They are for the lab's addresses, and valid from 2020 to 2120. Keys
and certificates are in this package for everybody to read, so they prove nothing; those who signed them threw their
keys away.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from chaoskit.server.app import tls

_FOLDER = Path(__file__).parent
ROOT = _FOLDER / "identity-root.pem"


def context() -> ssl.SSLContext:
    """For `Script.tls`."""
    return tls(_FOLDER / "identity-chain.pem", _FOLDER / "identity-key.pem")
