"""Lists what other tools call an option: curl, tc, k6, vegeta, locust, vllm bench, toxiproxy, pumba."""

from __future__ import annotations

from collections.abc import Collection

_OPTIONS = {
    "--format json": "json o",
    "--format": "html csv xml junit markdown md yaml text output-format f",
    "--json": "format output o",
    "--out": "output o output-dir outdir dir directory save save-result result-dir rundir run-dir report",
    "--host": "listen bind address addr ip interface l b on node container place",
    "--port": "p",
    "--publish": "port ports p expose forward listen",
    "--cert": "tls-cert ssl-certfile certfile cert-file certificate",
    "--key": "tls-key ssl-keyfile keyfile key-file",
    "--first-token": "ttft latency delay",
    "--token-interval": "itl tpot interval",
    "--requests": "num-prompts num-requests n iterations count number total",
    "--max-concurrency": "vus users u c workers max-workers parallel threads streams",
    "--request-rate": "rate rps qps q r spawn-rate arrival-rate",
    "--max-time": "duration run-time runtime time z t d m",
    "--objective": "threshold thresholds slo sla goodput expect assert",
    "--protocol": "backend api provider proto type",
    "--prompt-size": "input-len random-input-len prompt input-tokens",
    "--output-tokens": "max-tokens output-len random-output-len",
    "--header": "H headers",
    "--ca-file": "cacert ca cafile k insecure no-verify",
    "--ip 4": "4 ipv4 inet",
    "--ip 6": "6 ipv6 inet6",
    "--http 2": "http2 http2-prior-knowledge",
    "--http 1.1": "http1 http1.1",
    "--api-key-env": "api-key key token auth bearer key-env",
    "--maxseg": "mss",
    "--congestion-control": "cc congestion",
    "--for": "duration time lease ttl timeout t d",
    "--interface": "dev device iface nic I d",
    "--to": "host target dst dst-network dst-ip destination url network filter",
    "--to :443": "port dport dst-port remote-port",
    "--local-port": "sport src-port source-port listen-port",
    "--down 'delay 80ms'": "delay latency jitter",
    "--down 'loss 1%'": "loss packet-loss drop",
    "--down 'rate 1mbit'": "rate bandwidth rate-limit throttle",
    "--down": "downstream incoming ingress receive download netem",
    "--up": "upstream outgoing egress send upload",
    "--mss-clamp": "mss clamp",
    "--cut": "limit-data reset-peer reset rst close",
    "--idle-timeout": "conntrack-timeout nat-timeout session-timeout",
    "--dry-run": "dryrun check plan n",
    "--detach": "background daemon d",
    "--everything": "all any",
    "--netns": "namespace ns net",
    "--substrate": "where backend runtime",
    "--fault": "faults scenario inject",
    "--variant": "matrix select only",
    "--endpoint": "url u target host",
    "--example": "template copy from",
    "--force": "overwrite f",
    "--source": "tarball from src",
    "--version": "V v",
    "--help": "h usage man",
    "URL": "url u base-url endpoint host target address",
    "FILE": "file f config c experiment input",
    "RUNDIR": "run rundir run-dir dir directory input records path",
    "LEASE": "lease id name",
    "NAME": "name n out output o file",
    "HOST[:PORT]": "host target to address destination url",
}
"""What chaoskit has, and the names that mean it. In capitals: an argument."""


def option_meant(word: str, has: Collection[str]) -> list[str]:
    """What a command that `has` these options and arguments calls it; the nearest in meaning first."""
    return [ours for ours, others in _OPTIONS.items() if ours.split()[0] in has and word in others.split()]
