"""Measures the same streams with the probe, AIPerf and GuideLLM, beside the reference server's own stamps.

    python tests/bench/parity.py [--requests 100] [--streams 25] [--cases plain,reset]

AIPerf and GuideLLM run unchanged, from `.venv/parity` (`make parity` installs them), offline and on loopback only.
Each tool gets a server of its own with the same seed, so that for all of them the n-th request has the same first
token, and breaks off at the same place. In brackets is what that server did, by its own stamps: TTFT from reading the
request's head to writing the first token. Prints Markdown.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from loopback import Server

from chaoskit.clock import now
from chaoskit.server.deviations import Cut, ErrorEvent, Malformed, Refusal
from chaoskit.server.schedule import PlannedResponse, Script, Tool
from chaoskit.units import Duration, Share

TOP = Path(__file__).parents[2]
TOOLS = TOP / ".venv" / "parity" / "bin"
FIRST_TOKEN, FIRST_TOKEN_P99, INTERVAL = map(Duration.parse, ("150ms", "300ms", "20ms"))
TOKENS = 60
BROKEN = Share.parse("20%")
SEED = 13
LIMIT = 180
"""Seconds that one tool may take for one case."""
REVISION = "0" * 40
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "NO_PROXY": "127.0.0.1",
    # Nothing listens there: what leaves loopback all the same fails at once.
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
}


@dataclass(frozen=True)
class StampedResponse(PlannedResponse):
    """A response that keeps when its request was received, and when each event was written."""

    times: list[int] = field(default_factory=list)

    def due(self, received: int, seq: int) -> int:
        """As of `PlannedResponse`; the server asks first when the first token is due."""
        if not self.times:
            self.times.append(received)
        return super().due(received, seq)

    def text(self, seq: int, count: int = 1) -> str:
        """As of `PlannedResponse`; the server stamps an event with the time at which it has its text."""
        self.times.append(now())
        return super().text(seq, count)


@dataclass(frozen=True)
class StampedScript(Script):
    """Gives the n-th request the n-th response, also to the probe, which numbers its streams by itself."""

    responses: list[StampedResponse] = field(default_factory=list)
    _arrivals: dict[tuple[str | int, ...], int] = field(default_factory=dict)

    def plan(
        self, tokens: int, *identity: str | int, tool: Tool | None = None, reasons: bool = True
    ) -> StampedResponse:
        """As of `Script`."""
        planned = super().plan(tokens, self._number(identity), tool=tool, reasons=reasons)
        self.responses.append(StampedResponse(**vars(planned)))
        return self.responses[-1]

    def deviation(self, *identity: str | int) -> Malformed | Refusal | ErrorEvent | Cut | None:
        """As of `Script`."""
        return super().deviation(self._number(identity))

    def _number(self, identity: tuple[str | int, ...]) -> int:
        return self._arrivals.setdefault(identity, len(self._arrivals))


class StampingServer(Server):
    """Writes what its responses kept into a file when it ends."""

    def __init__(self, script: StampedScript, file: Path) -> None:
        super().__init__(script)
        self._responses, self._file = script.responses, file

    async def serve(self) -> None:
        """As of `Server`."""
        await super().serve()
        self._file.write_text(json.dumps([each.times for each in self._responses]))


@dataclass(frozen=True)
class Case:
    """Streams of one kind: their name in the table, and what deviates from a token every 20 ms."""

    title: str
    per_event: int = 1
    reasoning: int = 0
    deviation: Cut | ErrorEvent | None = None

    @property
    def script(self) -> StampedScript:
        """What the server follows."""
        deviations = () if self.deviation is None else (self.deviation,)
        return StampedScript(
            FIRST_TOKEN, FIRST_TOKEN_P99, INTERVAL, SEED, tokens_per_event=self.per_event,
            reasoning_tokens=self.reasoning, deviations=deviations,
        )  # fmt: skip


CASES = {
    "plain": Case("a token every 20 ms"),
    "events": Case("4 tokens in an event every 80 ms", per_event=4),
    "reasoning": Case("20 tokens of reasoning first", reasoning=20),
    "end": Case("some end early, without the end marker", deviation=Cut(TOKENS // 2, "end", BROKEN)),
    "reset": Case("some are reset", deviation=Cut(TOKENS // 2, "reset", BROKEN)),
    "error": Case("some end with an error event", deviation=ErrorEvent(TOKENS // 2, BROKEN)),
}


@dataclass(frozen=True)
class Row:
    """The streams of one case: medians and 99th percentiles, means; times in ms."""

    ttft: tuple[float, float]
    itl: tuple[float, float]
    tpot: float
    interrupted: int
    started: int
    tokens_per_second: float

    def cells(self) -> list[str]:
        """For the table."""
        times = [*self.ttft, *self.itl, self.tpot]
        rate = self.tokens_per_second
        return [*(f"{each:.1f}" for each in times), f"{self.interrupted}/{self.started}", f"{rate:.0f}"]


@dataclass(frozen=True)
class Load:
    """How much is asked, where, and a directory for the tool's files."""

    url: str
    requests: int
    streams: int
    folder: Path


def chaoskit(load: Load) -> Row:
    """`chaoskit probe`, its own definitions."""
    words = ["probe", load.url, "--requests", str(load.requests), "--max-concurrency", str(load.streams)]
    words += ["--output-tokens", str(TOKENS), "--json"]
    # 1: an objective is broken, 5: undecided; both measured.
    said = json.loads(run(load, [sys.executable, "-m", "chaoskit", *words], codes=(0, 1, 5)))["chaoskit"]["overall"]
    return Row(
        ttft=(said["ttft"]["p50_ms"], said["ttft"]["p99_ms"]),
        itl=(said["itl"]["p50_ms"], said["itl"]["p99_ms"]),
        tpot=said["tpot"]["mean_ms"],
        interrupted=said["interrupted"],
        started=said["started"],
        tokens_per_second=said["tokens_per_second"]["value"],
    )


def aiperf(load: Load) -> Row:
    """AIPerf. Its ITL is a mean of each request (vLLM's TPOT), its inter-chunk latency what others call ITL."""
    keep_tokenizer(load.folder)
    words = ["profile", "--model", "default", "--url", load.url, "--endpoint-type", "chat", "--streaming"]
    words += ["--request-count", str(load.requests), "--concurrency", str(load.streams), "--tokenizer", "parity/words"]
    words += ["--input-file", str(prompts(load)), "--custom-dataset-type", "single_turn"]
    words += ["--extra-inputs", f"max_completion_tokens:{TOKENS}", "--use-server-token-count"]
    words += ["--artifact-dir", str(load.folder), "--ui", "none", "--no-gpu-telemetry", "--no-server-metrics"]
    # 1: requests failed, which is told in the file.
    run(load, [str(TOOLS / "aiperf"), *words], codes=(0, 1))
    said: dict[str, dict[str, float]] = json.loads((load.folder / "profile_export_aiperf.json").read_text())
    started = round(said["completed_request_count"]["avg"])
    return Row(
        ttft=(said["time_to_first_token"]["p50"], said["time_to_first_token"]["p99"]),
        itl=(said["inter_chunk_latency"]["p50"], said["inter_chunk_latency"]["p99"]),
        tpot=said["inter_token_latency"]["avg"],
        interrupted=started - round(said["request_count"]["avg"]),
        started=started,
        tokens_per_second=said["output_token_throughput"]["avg"],
    )


def guidellm(load: Load) -> Row:
    """GuideLLM, of its successful requests, as its console has them."""
    report = load.folder / "report.json"
    words = ["run", "--backend", f"kind=openai_http,target={load.url},model=default,max_tokens={TOKENS}"]
    words += ["--profile", f"kind=concurrent,streams={load.streams}"]
    words += ["--constraint", f"kind=max_requests,count={load.requests}"]
    words += ["--data", f"kind=json_file,path={prompts(load)}", "--output", f"kind=json,path={report}"]
    run(load, [str(TOOLS / "guidellm"), *words, "--disable-console-interactive"])
    said = json.loads(report.read_text())["benchmarks"][0]["metrics"]
    ttft, itl = (
        said[name]["successful"]["percentiles"] for name in ("time_to_first_token_ms", "inter_token_latency_ms")
    )
    totals = said["request_totals"]
    return Row(
        ttft=(ttft["p50"], ttft["p99"]),
        itl=(itl["p50"], itl["p99"]),
        tpot=said["time_per_output_token_ms"]["successful"]["mean"],
        interrupted=totals["total"] - totals["successful"],
        started=totals["total"],
        tokens_per_second=said["output_tokens_per_second"]["total"]["mean"],
    )


CLIENTS: dict[str, Callable[[Load], Row]] = {"chaoskit": chaoskit, "AIPerf": aiperf, "GuideLLM": guidellm}


def prompts(load: Load) -> Path:
    """A file with a prompt for each request, for both tools."""
    path = load.folder / "prompts.jsonl"
    path.write_text("".join(json.dumps({"text": "go on", "prompt": "go on"}) + "\n" for _ in range(load.requests)))
    return path


def keep_tokenizer(folder: Path) -> None:
    """Put a tokenizer where AIPerf finds one offline; it wants one, and counts with the server's usage."""
    model = folder / "hub" / "models--parity--words"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(REVISION)
    snapshot = model / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    words = {"type": "WordLevel", "vocab": {"[UNK]": 0, "go": 1, "on": 2}, "unk_token": "[UNK]"}
    whole = {"version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "WhitespaceSplit"}, "model": words}
    empty = dict.fromkeys(("truncation", "padding", "normalizer", "post_processor", "decoder"))
    (snapshot / "tokenizer.json").write_text(json.dumps(whole | empty))
    kind = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"}
    (snapshot / "tokenizer_config.json").write_text(json.dumps(kind))


def run(load: Load, words: Sequence[str], codes: tuple[int, ...] = (0,)) -> str:
    """Run a tool, and return what it prints. SystemExit when it is missing, ends in another way, or takes too long."""
    home = {"HOME": str(load.folder), "HF_HOME": str(load.folder), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    name = Path(words[0]).name
    try:
        tool = subprocess.Popen(
            words, cwd=load.folder, env=home | OFFLINE, stdin=subprocess.DEVNULL, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
    except FileNotFoundError:
        raise SystemExit(f"{words[0]} is missing: make parity installs it") from None
    try:
        said, complaints = tool.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        raise SystemExit(f"{name} did not end within {LIMIT} s: {' '.join(words)}") from None
    finally:
        if tool.poll() is None:
            os.killpg(tool.pid, signal.SIGKILL)
            tool.wait()
    if tool.returncode not in codes:
        last = "\n".join((said + complaints).splitlines()[-20:])
        raise SystemExit(f"{name} ended with exit code {tool.returncode}: {' '.join(words)}\n{last}")
    return said


def truth(case: Case, served: Sequence[Sequence[int]]) -> Row:
    """What the server did, by its stamps: of each response when it was received, and when its events were written."""
    first = [(events[0] - received) / 1e6 for received, *events in served]
    gaps = [(after - before) / 1e6 for _, *events in served for before, after in itertools.pairwise(events)]
    tokens = [min(TOKENS, (len(times) - 1) * case.per_event) for times in served]
    paces = [(events[-1] - events[0]) / 1e6 / (count - 1) for (_, *events), count in zip(served, tokens, strict=True)]
    span = (max(times[-1] for times in served) - min(times[0] for times in served)) / 1e9
    return Row(
        ttft=(nearest_rank(first, 0.5), nearest_rank(first, 0.99)),
        itl=(nearest_rank(gaps, 0.5), nearest_rank(gaps, 0.99)),
        tpot=sum(paces) / len(paces),
        interrupted=sum(count < TOKENS for count in tokens),
        started=len(served),
        tokens_per_second=sum(tokens) / span,
    )


def nearest_rank(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of them do not exceed."""
    return sorted(values)[math.ceil(len(values) * share) - 1]


def measure(case: Case, requests: int, streams: int) -> dict[str, tuple[Row, Row]]:
    """Run each tool against a server of its own. Returns what it says, and what the server did."""
    rows: dict[str, tuple[Row, Row]] = {}
    for name, client in CLIENTS.items():
        if sys.stderr.isatty():
            print(f"{case.title}: {name}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="chaoskit-") as directory:
            folder, stamps = Path(directory) / "tool", Path(directory) / "stamps.json"
            folder.mkdir()
            with StampingServer(case.script, stamps) as server:
                said = client(Load(server.url, requests, streams, folder))
            rows[name] = said, truth(case, json.loads(stamps.read_text()))
    return rows


def versions() -> Mapping[str, str]:
    """Of the other tools. SystemExit when they are not installed."""
    ask = "from importlib.metadata import version; print(version('aiperf'), version('guidellm'))"
    try:
        said = subprocess.run([TOOLS / "python", "-c", ask], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        raise SystemExit("AIPerf and GuideLLM are not installed in .venv/parity: make parity installs them") from None
    return dict(zip(("AIPerf", "GuideLLM"), said.split(), strict=True))


def markdown(tables: Mapping[str, Mapping[str, tuple[Row, Row]]]) -> str:
    """One table; the name of a case stands in its first row, and what the server did in brackets."""
    head = ["streams", "tool", "TTFT p50", "TTFT p99", "ITL p50", "ITL p99", "TPOT", "interrupted", "tokens/s"]
    lines = [head, ["---", "---", *["--:"] * 7]]
    for title, rows in tables.items():
        for number, (name, (said, done)) in enumerate(rows.items()):
            cells = [f"{left} ({right})" for left, right in zip(said.cells(), done.cells(), strict=True)]
            lines.append(["" if number else title, name, *cells])
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)


def main() -> None:
    """All cases, and the table."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--requests", type=int, default=100)
    words.add_argument("--streams", type=int, default=25, help="at a time")
    words.add_argument("--cases", default=",".join(CASES), help=f"of {', '.join(CASES)}")
    asked = words.parse_args()
    names = asked.cases.split(",")
    if unknown := [name for name in names if name not in CASES]:
        raise SystemExit(f"unknown case {unknown[0]}; there are {', '.join(CASES)}")
    told = ", ".join(f"{name} {version}" for name, version in versions().items())
    tables: dict[str, Mapping[str, tuple[Row, Row]]] = {}
    for name in names:
        tables[CASES[name].title] = measure(CASES[name], asked.requests, asked.streams)
    print(markdown(tables))
    print(f"\n{told}; {asked.requests} requests of {TOKENS} tokens, {asked.streams} at a time; times in ms.")


if __name__ == "__main__":
    main()
