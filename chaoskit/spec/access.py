"""Defines how an endpoint is reached, and with which key: keys of `stage`, options of a probe.

Rules: a secret is named, by an environment variable or a file, and never written; what may be one is refused, and no
message repeats it. Nothing here looks at the machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from chaoskit.faults.schema import FROM_FILE, Flag, SpecModel, exactly_one, short_form
from chaoskit.spec.endpoint import holds_key, redacted, secret_header, secret_in

HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2: a token
HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NOT_OURS = ("host", "content-length", "transfer-encoding", "connection")
_HIDDEN = "(hidden)"
_CODINGS = "accept-encoding"
_PROXY_EXAMPLE = "write for example http://proxy.example.com:3128"


def _variable(name: str) -> str:
    """Require a variable name. The value may be the secret itself, so the message does not repeat it."""
    if not _VARIABLE.fullmatch(name) or secret_in(f"http://host/?{name}"):
        raise ValueError("not the name of an environment variable; write for example OPENAI_API_KEY, never the key")
    return name


Variable = Annotated[
    str,
    AfterValidator(_variable),
    Field(json_schema_extra={"type": "string", "pattern": f"^{_VARIABLE.pattern}$"}),
]


def _header_name(name: str) -> str:
    if holds_key(name):
        raise ValueError("not the name of a header, but what looks like a key; write for example api-key")
    if not HEADER_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a header; write for example api-key")
    return name.lower()


HeaderName = Annotated[str, AfterValidator(_header_name)]


def _prefix(text: str) -> str:
    if holds_key(text):
        raise ValueError("what looks like a key; give the word before it, such as Bearer, and the key by its variable")
    if not HEADER_VALUE.fullmatch(text):
        raise ValueError(f"{text[:40]!r} cannot stand before a key in a header; write for example Bearer")
    return text


class TextOrVariable(SpecModel):
    """A text that anybody may read, or the environment variable that holds one."""

    model_config = exactly_one("value", "env")

    value: str | None = Field(None, description="The text; it is in the records.")
    env: Variable | None = Field(None, description="The environment variable that holds it; never in a record.")

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.value is None) == (self.env is None):
            raise ValueError("give either a text, or env: with the name of the environment variable that holds it")
        return self


def _text(words: Any) -> Any:
    if words in (None, ""):
        raise ValueError("no value; write a text, or {env: NAME} for the value of an environment variable")
    return short_form("value")(words)


WrittenText = Annotated[TextOrVariable, BeforeValidator(_text, json_schema_input_type=TextOrVariable | str)]


def _headers(found: dict[str, TextOrVariable], info: ValidationInfo) -> dict[str, TextOrVariable]:
    """Require names and values that HTTP allows and, in a file, no secret among the values: records have a copy."""
    for name, text in found.items():
        if not HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a header; write for example X-Tenant: blue")
        if name.lower() in _NOT_OURS:
            raise ValueError(f"{name} is set by the client itself; remove it")
        if text.value is None:
            continue
        if not HEADER_VALUE.fullmatch(text.value):
            raise ValueError(f"{name}: characters that HTTP does not allow in a header; give ASCII on one line")
        if info.context == FROM_FILE and secret_header(name, text.value):
            raise ValueError(
                f"{name}: what looks like a secret; put it into an environment variable, and write {name}: "
                "{env: NAME of the variable}"
            )
    return found


def _proxy(proxy: TextOrVariable, info: ValidationInfo) -> TextOrVariable:
    if proxy.value is not None:
        check_proxy(proxy.value)
        if info.context == FROM_FILE and "@" in proxy.value:
            raise ValueError(
                "a user name or password before its host; put the URL into an environment variable, and write "
                "{env: NAME of the variable}"
            )
    return proxy


def check_proxy(url: str) -> None:
    """Raise ValueError for what is no URL of a proxy. The message has no password."""
    parts = _split(url)
    if parts is not None and parts.scheme in ("https", "socks4", "socks5", "socks5h"):
        raise ValueError(f"{redacted(url)[:80]!r}: only http:// proxies are known, which also carry https")
    if parts is None or parts.scheme != "http":
        has_scheme = "://" in url
        meant = f"write http://{url}" if not has_scheme and "@" not in url and url else _PROXY_EXAMPLE
        raise ValueError(f"{redacted(url)[:80]!r} is no URL of a proxy; {meant}")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"{redacted(url)[:80]!r} has a path, and a proxy is a host and a port; {_PROXY_EXAMPLE}")


class Access(SpecModel):
    """How an endpoint is reached: its model, its key, headers, certificates, a proxy."""

    model: str | None = Field(None, description="Model to request. Default: the one that the endpoint lists.")
    key_env: Variable | None = Field(None, description="The name of the environment variable that holds the API key.")
    key_file: str | None = Field(None, description="A file that holds the API key, and nothing else.")
    key_header: HeaderName | None = Field(
        None,
        description="The header of the key. Default: authorization, x-api-key (Anthropic), x-goog-api-key (Gemini).",
    )
    key_prefix: Annotated[str, AfterValidator(_prefix)] | None = Field(
        None, description="The word before the key in its header. Default: Bearer in authorization, none in others."
    )
    headers: Annotated[dict[str, WrittenText], AfterValidator(_headers)] = Field(
        default_factory=dict, description="More headers: a text, or `{env: NAME}` for that of an environment variable."
    )
    ca_file: str | None = Field(None, description="More CA certificates to trust (PEM).")
    client_cert: str | None = Field(None, description="Certificate of the client (PEM), and its chain.")
    client_key: str | None = Field(None, description="Its private key (PEM). Default: in the same file.")
    insecure: Flag = Field(False, description="Do not verify the endpoint's certificate; the report says so.")
    proxy: Annotated[WrittenText, AfterValidator(_proxy)] | None = Field(
        None,
        description="URL of a proxy, or `{env: NAME}`: CONNECT, or the whole URL for plain HTTP/1.1. Default: none.",
    )

    @model_validator(mode="after")
    def _they_fit(self) -> Self:
        has_key = self.key_env is not None or self.key_file is not None
        if self.key_env is not None and self.key_file is not None:
            raise ValueError("`key-env` and `key-file` exclude each other: give one of them")
        if not has_key and (self.key_header is not None or self.key_prefix is not None):
            raise ValueError("`key-header` and `key-prefix` are of a key: give it with `key-env` or `key-file`")
        if self.client_key is not None and self.client_cert is None:
            raise ValueError("`client-key` is of a certificate: give it with `client-cert`")
        if self.insecure and self.ca_file is not None:
            raise ValueError("`insecure` verifies no certificate, so that `ca-file` says nothing: remove one of them")
        return self

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that it names."""
        texts = (*self.headers.values(), *((self.proxy,) if self.proxy else ()))
        return tuple(dict.fromkeys(name for name in (self.key_env, *(text.env for text in texts)) if name))

    @property
    def accepts_compression(self) -> bool:
        """Whether its requests accept a content coding, as they do without a header of their own."""
        texts = (text.value for name, text in self.headers.items() if name.lower() == _CODINGS)
        accepted = next((text for text in texts if text is not None), "gzip")
        names = {each.partition(";")[0].strip().lower() for each in accepted.split(",")}
        return names - {"", "identity"} != set()

    def without_compression(self) -> Self:
        """The same, accepting no content coding."""
        headers = {name: text for name, text in self.headers.items() if name.lower() != _CODINGS}
        return self.model_copy(update={"headers": headers | {_CODINGS: TextOrVariable(value="identity")}})

    def conditions(self, url: str) -> Iterator[str]:
        """What a reader of the results must know of the way to the endpoint at this URL."""
        has_tls = url.lower().startswith("https:")
        if self.proxy is not None:
            named = _without_user(self.proxy.value) if self.proxy.value else f"that {self.proxy.env} names"
            yield f"through the proxy {named}"
        if self.insecure and has_tls:
            yield "insecure: the certificate of the endpoint was not verified"
        if self.client_cert is not None and has_tls:
            yield "with a client certificate"

    def exposed(self) -> Iterator[str]:
        """The secrets that a command line shows to every user of this machine."""
        for name, text in self.headers.items():
            if text.value is not None and secret_header(name, text.value):
                yield f"--header {name}: every user of this machine can read it; --header-env {name}:VARIABLE hides it"
        if self.proxy is not None and "@" in (self.proxy.value or ""):
            yield "--proxy: every user of this machine can read its password; --proxy-env VARIABLE hides it"

    @property
    def proxy_host(self) -> tuple[str, int] | None:
        """Host and port of the proxy, where the file names them."""
        parts = _split(self.proxy.value) if self.proxy and self.proxy.value else None
        if parts is None or parts.hostname is None:
            return None
        return parts.hostname, parts.port or 80


def recorded(access: Access, proxy: str | None) -> Access:
    """The same for a record: no values of headers but the content codings, and no user and password of the `proxy`."""
    headers = {
        name: text if text.value is None or name.lower() == _CODINGS else TextOrVariable(value=_HIDDEN)
        for name, text in access.headers.items()
    }
    shown = None if proxy is None else TextOrVariable(value=_without_user(proxy))
    return access.model_copy(update={"headers": headers, "proxy": shown})


def _without_user(proxy: str) -> str:
    parts = urlsplit(proxy)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _split(url: str) -> SplitResult | None:
    """The parts of a URL that has a host; None when it has none."""
    try:
        split = urlsplit(url)
        return split if split.hostname and split.port != 0 else None
    except ValueError:
        return None
