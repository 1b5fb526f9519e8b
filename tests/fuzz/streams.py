"""Fuzzes input from the network: token streams, HTTP/2 frames, packets."""

from __future__ import annotations

import struct

from hyperframe.frame import DataFrame, Frame, GoAwayFrame, HeadersFrame, RstStreamFrame
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoReply, IPv6
from scapy.packet import Raw

from chaoskit.pathmtu.packets import Packets
from chaoskit.pathmtu.probes import Endpoints, Probe
from chaoskit.probe.protocols import PROTOCOLS
from chaoskit.probe.protocols.error_messages import sentence_of
from chaoskit.probe.protocols.events import ProtocolEvent
from chaoskit.probe.protocols.response_parser import ResponseParser
from chaoskit.probe.transport.frames import Frame as SplitFrame
from chaoskit.probe.transport.frames import FrameSplitter
from chaoskit.server.formats import APIS
from chaoskit.server.formats.api import Api, CompletionRequest, Stamp
from chaoskit.server.schedule import PlannedResponse
from fuzz.mutate import of_bytes, of_json
from fuzz.target import Target, plain

_PROTOCOLS = tuple(PROTOCOLS)
_APIS = {api.name: api for api in APIS}
_PLAN = PlannedResponse(7, 2, 0, 1000, ("word ", "more "))
_MAX_SIZE = 1 << 20  # bytes of an event, a line, a header block
_MAX_CUTS = 400  # input up to this size is split at every byte


def responses() -> list[bytes]:
    """A short response of each vendor, after a byte that selects the protocol."""
    found = []
    for at, protocol in enumerate(_PROTOCOLS):
        body = _body(_APIS[protocol])
        found += [bytes([at]) + body, bytes([at]) + body.replace(b"\n", b"\r\n"), bytes([at]) + body[:150]]
        found.append(bytes([at]) + b'data: {"error": {"message": "no", "type": "overloaded_error"}}\n\n')
    return found


def _body(api: Api) -> bytes:
    """The stream of a response of two tokens."""
    encoder = api.encoder(CompletionRequest(api, "m", 2, True, True, 1, usage=True), _PLAN)
    body = encoder.opening() + encoder.begin("text")
    for seq, text in enumerate(_PLAN.words):
        event = encoder.event("text", text, Stamp(seq, seq))
        assert event is not None
        body += b"%b%d%b" % (event[0], seq + 1, event[1])
    return body + encoder.end("text") + encoder.closing(2, "length")


def judge_response(data: bytes) -> None:
    """The same events, failure and remarks, wherever the body is split; the error message is a str."""
    protocol, body = _PROTOCOLS[data[0] % len(_PROTOCOLS) if data else 0], data[1:]
    whole = _read(protocol, body)
    assert isinstance(sentence_of(body), str)
    for cut in range(1, len(body)) if len(body) <= _MAX_CUTS else ():
        assert _read(protocol, body[:cut], body[cut:]) == whole, f"split at {cut}"
    if len(body) <= _MAX_CUTS:
        assert _read(protocol, *(body[at : at + 1] for at in range(len(body)))) == whole


def _read(protocol: str, *chunks: bytes) -> list[ProtocolEvent | str]:
    """The events of a body that ended properly, those of the same body cut, and what else the parser found."""
    found: list[ProtocolEvent | str] = []
    for is_whole in (True, False):
        parser = ResponseParser(protocol, _MAX_SIZE)  # type: ignore[arg-type]
        for chunk in chunks:
            found += parser.feed(chunk)
        found += parser.close(is_whole)
        found += [str(parser.failure), repr(parser.text), repr(list(parser.remarks))]
    return found


def frames() -> list[bytes]:
    """An HTTP/2 response."""
    encoder: list[Frame] = [
        HeadersFrame(1, b"head", flags=["END_HEADERS"]),
        DataFrame(1, b"one"),
        DataFrame(3, b"x" * 300),
        DataFrame(1, b"two", pad_length=9, flags=["PADDED"]),
        RstStreamFrame(3, error_code=8),
        GoAwayFrame(0, last_stream_id=1, error_code=11, additional_data=b"calm down"),
    ]
    return [b"".join(frame.serialize() for frame in encoder)]


def judge_frames(data: bytes) -> None:
    """The same resets and data, wherever the bytes are split."""
    whole = _split(data)
    for cut in range(1, min(len(data), _MAX_CUTS)):
        assert _split(data[:cut], data[cut:]) == whole, f"split at {cut}"


def _split(*chunks: bytes) -> tuple[list[SplitFrame], str]:
    splitter, found = FrameSplitter(_MAX_SIZE), []
    for chunk in chunks:
        frames, error = splitter.feed(chunk)
        found += frames
        if error is not None:
            return found, type(error).__name__
    return found, ""


_ENDS = {4: Endpoints(4, "192.0.2.1", "198.51.100.7", 443), 6: Endpoints(6, "2001:db8::1", "2001:db8:ffff::7", 443)}


def packets() -> list[bytes]:
    """Responses of hosts and routers, after a byte that selects the socket."""
    found = []
    for version, ends in _ENDS.items():
        ours = Packets(ends, 4711)
        for how in ("echo", "udp", "tcp"):
            sent = ours.build(Probe(how, 200, 7), 3)
            if version == 4:
                for kind, code in ((11, 0), (3, 4), (3, 3), (3, 13)):
                    head = IP(src="203.0.113.9", dst=ends.source, ttl=61) / ICMP(type=kind, code=code, nexthopmtu=1400)
                    found.append(b"\0" + bytes(head / Raw(sent[:60])))
            else:
                for kind, code in ((3, 0), (2, 0), (1, 4), (1, 1)):
                    found.append(b"\1" + struct.pack("!BBHI", kind, code, 0, 1400) + sent[:80])
    found.append(b"\0" + bytes(IP(src="198.51.100.7", dst="192.0.2.1") / ICMP(type=0, id=4711, seq=3)))
    found.append(b"\1" + bytes(IPv6() / ICMPv6EchoReply(id=4711, seq=3))[40:])
    found.append(b"\2" + bytes(TCP(sport=443, dport=61000 + 4711 - 4500 + 3, flags="SA", options=[("MSS", 1400)])))
    found.append(b"\2" + bytes(TCP(sport=443, dport=65499, flags="R") / Raw(b"x" * 9)))
    found.append(b"\2" + bytes(UDP(sport=443)))
    return found


def judge_packet(data: bytes) -> None:
    """A response, or None."""
    kind, rest = (data[0] % 3, data[1:]) if data else (0, b"")
    for ends in _ENDS.values():
        ours = Packets(ends, 4711)
        found = (
            ours.read_icmp4(rest)
            if kind == 0
            else ours.read_icmp6(rest, "2001:db8:9::9", 61)
            if kind == 1
            else ours.read_tcp(rest, 61)
        )
        assert found is None or isinstance(found[0], int)


ANSWERS = Target("answers", responses, of_bytes(b"data: ", b"\r\n\r\n", b"\n\n", b'{"', b"[DONE]", b"\xef\xbb\xbf", b": chaoskit 1 2 3\n", b"1e999"), plain(judge_response))  # fmt: skip  # noqa: E501
OBJECTS = Target("objects", responses, lambda random, seeds: bytes([random.randrange(4)]) + of_json(random, _lines()), plain(judge_response))  # fmt: skip  # noqa: E501
FRAMES = Target("frames", frames, of_bytes(b"\0\0\0", b"\xff\xff\xff", b"\0\0\x04\x03\0"), plain(judge_frames))
PACKETS = Target("packets", packets, of_bytes(b"\x45", b"\0\0", b"\xff\xff", b"\x02\x04"), plain(judge_packet))


def _lines() -> list[bytes]:
    """Events of OpenAI and Ollama as lines of JSON."""
    chat = _body(_APIS["openai-chat"]).partition(b"data: ")[2]
    return [_body(_APIS["ollama"]), chat]
