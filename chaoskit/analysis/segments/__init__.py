"""Whose silence a gap was, read from the headers of what arrived: nothing is asked of the server.

Data flows capture.pcapng -> `capture_file` (blocks) -> `packets` (columns) -> `captured_connections` (segments of each)
-> what the far end's kernel tells of itself, `sender_clock` and `packet_ids` -> `gap_evidence` -> `cause`.
In a lab `links` follows the same packets over its routers.
"""
