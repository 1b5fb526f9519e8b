"""Whose silence a gap was, read from the headers of what arrived: nothing is asked of the server.

Data flows capture.pcapng -> `capture_file` (blocks) -> `packets` (columns) -> `captured_connections` (segments of each)
-> what the far end's kernel tells of itself, `sender_clock` and `packet_ids` -> `gap_evidence` -> `cause` of a gap,
`death` of a stream, `request_path` of a first token. Of QUIC packet numbers, which a connection counts and never uses
again, would stand in for `packet_ids`, and the delays in its acknowledgements for `sender_clock`; both are encrypted,
so that they would come from the probe's own QUIC stack and not from a capture.
In a lab `links` follows the same packets over its routers.
"""
