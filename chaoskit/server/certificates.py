"""Provides the lab server's TLS certificate chain, and the root certificate that clients trust.

The chain has two certificates with 2048-bit RSA keys, as is common: the server's first TLS flight exceeds one packet of
1500 bytes. They are for the lab's addresses, and valid from 2020 to 2120. Keys and certificates are public in this
package, so they prove no identity; the signing keys were deleted.
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
