"""Defines the choice of a network namespace: by name, by a process in it, or by a container."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from chaoskit.faults.schema import SpecModel, given, text_of

MAX_PID = 2**22  # proc(5): the kernel's largest pid_max
_KEYS = ("netns", "pid", "container")
_NETNS = re.compile(r"(?!-|\.{1,2}$)[^\x00-\x1f]{1,4095}")  # a name, or a path; limits.h: PATH_MAX
_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")  # Docker's names and ids


def _netns(name: str) -> str:
    if not _NETNS.fullmatch(name):
        raise ValueError(f"found {name[:40]!r}, expected a name that ip netns shows, or a path such as /proc/42/ns/net")
    return name


def _container(name: str) -> str:
    if not _CONTAINER.fullmatch(name):
        raise ValueError(f"found {name[:40]!r}, expected a container's name or id, as docker ps shows them")
    return name


class NamespaceChoice(SpecModel):
    """The network namespace to work in. Default: the one that chaoskit is started in."""

    model_config = ConfigDict(
        json_schema_extra={"not": {"anyOf": [given(*pair) for pair in combinations(_KEYS, 2)]}},
    )

    netns: Annotated[str, AfterValidator(_netns), Field(json_schema_extra=text_of(_NETNS.pattern))] | None = Field(
        None, description="Network namespace: a name of ip netns, or a path."
    )
    pid: Annotated[int, Field(ge=1, le=MAX_PID)] | None = Field(
        None, description="A process; its network namespace is used."
    )
    container: (
        Annotated[str, AfterValidator(_container), Field(json_schema_extra=text_of(_CONTAINER.pattern))] | None
    ) = Field(None, description="A running container of Docker or Podman, name or id; its network namespace is used.")

    @model_validator(mode="after")
    def _is_one(self) -> NamespaceChoice:
        if len(self.chosen) > 1:
            named = " and ".join(f"`{key}`" for key in self.chosen)
            raise ValueError(f"{named} each choose a network namespace; remove all but one")
        return self

    @property
    def chosen(self) -> tuple[str, ...]:
        """The keys that are given: one at the most."""
        return tuple(key for key in _KEYS if getattr(self, key) is not None)

    @property
    def namespace_option(self) -> str:
        """As an option of a command: `--netns blue`; "" where none is chosen."""
        return "".join(f"--{key} {getattr(self, key)}" for key in self.chosen)

    @property
    def namespace_name(self) -> str:
        """For people: "the network namespace of container web"; "" where none is chosen."""
        of = {"netns": "", "pid": "of process ", "container": "of container "}
        return "".join(f"the network namespace {of[key]}{getattr(self, key)}" for key in self.chosen)
