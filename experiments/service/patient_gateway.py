"""The same gateway, and the one line that lets it wait for a model that thinks."""

import gateway
import httpx

gateway.MODEL = httpx.Client(timeout=httpx.Timeout(5, read=300))
gateway.serve()
