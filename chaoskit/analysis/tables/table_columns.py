"""Defines the tables of a run and their columns: names, types, units, meanings.

Rules: a name ends in its unit where it has one; stamps (`at_ns`, `begin_ns`, ...) are ns since the run began, when the
first phase did; a row's `stream` is the number of a row of `streams`, its `phase` the name of one of `phases`.
"""

from __future__ import annotations

from chaoskit.analysis.tables.table import Column, TableSchema

STREAMS = TableSchema(
    "streams",
    "A request that ended, and its answer; warm-up requests are left out.",
    (
        Column("stream", "int64", "", "Its number."),
        Column(
            "phase", "text", "", "The phase that it belongs to as a whole: that of its interruption, if it had one."
        ),
        Column("round", "int64", "", "The repetition of that phase, from 0."),
        Column("scheduled_ns", "int64", "ns", "When the arrival process wanted it to start."),
        Column("asked_ns", "int64", "ns", "When its user asked first; `scheduled_ns` unless it is a retry."),
        Column("started_ns", "int64", "ns", "When the probe started it."),
        Column("sent_ns", "int64", "ns", "When the last byte of the request was written.", True),
        Column("headers_ns", "int64", "ns", "When the head of the answer was read.", True),
        Column("first_token_ns", "int64", "ns", "When the first token arrived.", True),
        Column("last_token_ns", "int64", "ns", "When the last token arrived.", True),
        Column("end_ns", "int64", "ns", "When it ended."),
        Column("completion", "text", "", "How it ended."),
        Column("detail", "text", "", "Why, where it is not `complete`. May have words of the server."),
        Column("interruption_cause", "text", "", "Whose its interruption was; empty where it was not interrupted."),
        Column("status", "int64", "", "HTTP status.", True),
        Column("events", "int64", "", "Events with output."),
        Column(
            "tokens", "float64", "tokens", "Tokens of these events: by the usage that the server told, else one each."
        ),
        Column("bytes", "int64", "bytes", "Of all reads with tokens; of one read at most 65,535."),
        Column("ttft_ns", "int64", "ns", "First-token latency since `asked_ns`; lacks where it never came.", True),
        Column(
            "ttft_phase", "text", "", "The phase among whose latencies it is, even if it never came; empty: of none."
        ),
        Column("stalls", "int64", "", "How many stalls it had."),
        Column("stalled_ns", "int64", "ns", "What its stalls were longer than the threshold."),
        Column("max_gap_ns", "int64", "ns", "Its longest gap.", True),
        Column("wait_ns", "int64", "ns", "How long a reader at the reading rate had nothing to read."),
        Column("flag", "text", "", "`empty` or `short`: what is wrong with a complete answer."),
        Column("finish", "text", "", "The server's word for why the answer ended."),
        Column("asked_tokens", "int64", "tokens", "The most tokens that it asked for.", True),
        Column("workflow", "text", "", "The workflow that it asked for."),
        Column("traffic_class", "text", "", "Its traffic class."),
        Column("tier_asked", "text", "", "The service tier that it asked for."),
        Column("tier_served", "text", "", "The service tier that the answer tells."),
        Column("degraded", "text", "", "How the answer is less than what was asked for, in the server's words."),
        Column("attempt", "int64", "", "How often its user had asked with it, from 1."),
        Column("retry_of", "int64", "", "The stream that its user gave up before it.", True),
        Column("connection", "int64", "", "Number of its connection.", True),
        Column("port", "int64", "", "The client's TCP port.", True),
        Column("is_reused", "bool", "", "Whether an earlier request used the connection."),
        Column("http", "text", "", "HTTP version."),
        Column("coding", "text", "", "Content coding of the answer."),
        Column("dns_ns", "int64", "ns", "Time for the name lookup.", True),
        Column("connect_ns", "int64", "ns", "Time for the TCP handshake.", True),
        Column("tls_ns", "int64", "ns", "Time for the TLS handshake.", True),
        Column("upload_ns", "int64", "ns", "Time for writing the request.", True),
        Column("trace", "text", "", "Its trace: `trace` of the table `hops`."),
    ),
)
TOKENS = TableSchema(
    "tokens",
    "An event with output, by stream and in order; and the gap that begins with it.",
    (
        Column("stream", "int64", "", "Its stream."),
        Column("number", "int64", "", "Its number in the stream, from 1."),
        Column("at_ns", "int64", "ns", "When it arrived."),
        Column(
            "gap_ns", "int64", "ns", "Time to the next one; from the last of an interrupted stream to the end.", True
        ),
        Column("gap_phase", "int32", "", "Number of the row of `phases` that the gap is charged to, from 0."),
        Column("is_coalesced", "bool", "", "Whether the next one came in the same read: the network made no gap."),
        Column(
            "is_stall", "bool", "", "Whether the gap is a stall: longer than the threshold, as the server did not plan."
        ),
        Column("wait_ns", "int64", "ns", "How long a reader at the reading rate had nothing to read in the gap."),
    ),
)
STALLS = TableSchema(
    "stalls",
    "A stall and the verdict on it, as `chaoskit explain` tells it.",
    (
        Column("stream", "int64", "", "Its stream."),
        Column("phase", "text", "", "The phase that it is charged to."),
        Column("token", "int64", "", "Number of the token before it."),
        Column("begin_ns", "int64", "ns", "When that token arrived."),
        Column("end_ns", "int64", "ns", "When the next one arrived, or the stream ended."),
        Column("is_death", "bool", "", "Whether the stream ended in it."),
        Column("stalled_ns", "int64", "ns", "What it is longer than the threshold, without what the server planned."),
        Column("cause", "text", "", "Whose most of that time is: server, network, client, between or unknown."),
        Column("kind", "text", "", "What it was, where it is the network's: loss, reorder, delay, queueing, ..."),
        Column("kind_confidence", "text", "", "How sure that is: exact, likely or none."),
        Column("place", "text", "", "The link on which it was, where those of a lab were captured."),
        Column("confidence", "text", "", "How sure the cause is: exact, likely or none."),
        Column("sentence", "text", "", "What the verdict rests on."),
        Column("records", "text", "", "The records that it rests on."),
        Column("server_ns", "float64", "ns", "The server's part of `stalled_ns`."),
        Column("network_ns", "float64", "ns", "The network's part."),
        Column("client_ns", "float64", "ns", "The client's own part."),
        Column("between_ns", "float64", "ns", "The part of what is in between."),
        Column("unknown_ns", "float64", "ns", "The part that nothing tells of."),
    ),
)
PHASES = TableSchema(
    "phases",
    "A phase of the timeline, each repetition. The drain after the last one belongs to it.",
    (
        Column("phase", "text", "", "Its name."),
        Column("round", "int64", "", "Its repetition, from 0."),
        Column("begin_ns", "int64", "ns", "When chaoskit began to change the network."),
        Column("ready_ns", "int64", "ns", "When its faults were in force, read back."),
        Column("end_ns", "int64", "ns", "When it ended."),
        Column("cleared_ns", "int64", "ns", "When its faults were gone; lacks where they were there to the end.", True),
        Column("is_reference", "bool", "", "Whether the others are compared with it."),
        Column("faults", "text", "", "The names of its faults, with commas."),
        Column("settings", "text", "", "What it sets, as tc says it, with semicolons."),
    ),
)
TCP = TableSchema(
    "tcp",
    "A sample of TCP_INFO: of the client's sockets, of the reference server's, of a lab's hosts. See tcp(7).",
    (
        Column("at_ns", "int64", "ns", "When it was taken."),
        Column("seen_by", "text", "", "Whose socket: `client`, `server`, or the host of a lab."),
        Column("stream", "int64", "", "The stream; lacks for the sockets of hosts, which `peer_port` joins.", True),
        Column(
            "when", "text", "", "Why it was taken: connected, start, silent, resumed, stuck, end, sampled, unacked."
        ),
        Column("port", "int64", "", "The socket's own port.", True),
        Column("peer", "text", "", "The other host, where it is known."),
        Column("peer_port", "int64", "", "Its port.", True),
        Column("rtt_us", "int64", "us", "Smoothed round trip; of a client that of the handshake.", True),
        Column("rto_us", "int64", "us", "Retransmission timeout.", True),
        Column("cwnd", "int64", "segments", "Congestion window of this sender.", True),
        Column("unacked", "int64", "segments", "Sent and not acknowledged.", True),
        Column("lost", "int64", "segments", "Of these, considered lost.", True),
        Column("retransmits", "int64", "", "Expirations of the timer in a row.", True),
        Column("total_retrans", "int64", "segments", "Sent again since the connection began.", True),
        Column("bytes_sent", "int64", "bytes", "Sent, also again.", True),
        Column("bytes_acked", "int64", "bytes", "Acknowledged.", True),
        Column("bytes_received", "int64", "bytes", "Received in order.", True),
        Column("out_of_order", "int64", "segments", "Received out of order (`rcv_ooopack`).", True),
        Column("snd_mss", "int64", "bytes", "Largest segment that is sent.", True),
        Column("pmtu", "int64", "bytes", "Path MTU.", True),
    ),
)
QUEUES = TableSchema(
    "queues",
    "The counters of a qdisc, a filter or a link at a moment, since its creation.",
    (
        Column("at_ns", "int64", "ns", "When they were read."),
        Column("place", "text", "", "The network namespace; empty: the one that chaoskit runs in."),
        Column("name", "text", "", "The interface, or the filter."),
        Column("kind", "text", "", "`qdisc`, `filter` or `mtu`."),
        Column("phase", "text", "", "The phase at that time; `drain` after the last one."),
        Column("round", "int64", "", "Its repetition."),
        Column("packets", "int64", "packets", "That passed."),
        Column("bytes", "int64", "bytes", "That passed."),
        Column("drops", "int64", "packets", "That were dropped."),
        Column("overlimits", "int64", "", "Times that a limit delayed a packet."),
        Column("queued", "int64", "packets", "In the queue."),
        Column("backlog_bytes", "int64", "bytes", "In the queue."),
    ),
)
HOPS = TableSchema(
    "hops",
    "A span: a hop of a request behind the target, or an attempt of it.",
    (
        Column("stream", "int64", "", "Its request; lacks where its trace is that of none.", True),
        Column("trace", "text", "", "Its trace."),
        Column("span", "text", "", "Its identity."),
        Column("parent", "text", "", "The span that it belongs to."),
        Column("host", "text", "", "The host of the lab, or the service."),
        Column("name", "text", "", "What its program calls it."),
        Column("operation", "text", "", "workflow, policy, retrieval, tool, model or other."),
        Column("begin_ns", "int64", "ns", "When it began, by the run's clock."),
        Column("end_ns", "int64", "ns", "When it ended."),
        Column("error", "text", "", "Its error; empty where it succeeded."),
        Column("attributes", "text", "", "Its further attributes, a JSON object."),
    ),
)
SCHEMAS = (STREAMS, TOKENS, STALLS, PHASES, TCP, QUEUES, HOPS)
