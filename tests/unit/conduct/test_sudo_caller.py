"""Whose a command is under sudo: what SUDO_UID and SUDO_GID are believed."""

from __future__ import annotations

import os
import pwd
import re

import pytest

from chaoskit.conduct.sudo_caller import Caller, caller, choose
from chaoskit.errors import RefusedError, SpecError

SOMEBODY = next(each for each in pwd.getpwall() if each.pw_uid)
UID, GID = str(SOMEBODY.pw_uid), str(SOMEBODY.pw_gid)


def test_the_numbers_of_an_account_are_its_users() -> None:
    """With name and home of the account, whatever names the environment has, and all of its groups."""
    found = caller({"SUDO_UID": UID, "SUDO_GID": GID, "SUDO_USER": "root", "HOME": "/root"}, 0)

    groups = tuple(os.getgrouplist(SOMEBODY.pw_name, SOMEBODY.pw_gid))
    assert found == Caller(SOMEBODY.pw_uid, SOMEBODY.pw_gid, groups, SOMEBODY.pw_name, SOMEBODY.pw_dir)


@pytest.mark.parametrize(
    ("environment", "user"),
    [
        ({}, 0),
        ({"SUDO_USER": SOMEBODY.pw_name}, 0),
        ({"SUDO_UID": "0", "SUDO_GID": "0"}, 0),
        ({"SUDO_UID": UID, "SUDO_GID": GID}, 1234),
    ],
)
def test_whoever_is_root_without_sudo_or_not_root_stays_who_he_is(environment: dict[str, str], user: int) -> None:
    """A root login, root's own sudo, and a user who has been given the variables."""
    assert caller(environment, user) is None


@pytest.mark.parametrize(
    "environment",
    [
        {"SUDO_UID": UID},
        {"SUDO_GID": GID},
        {"SUDO_UID": "", "SUDO_GID": ""},
        {"SUDO_UID": SOMEBODY.pw_name, "SUDO_GID": GID},
        {"SUDO_UID": "-1", "SUDO_GID": GID},
        {"SUDO_UID": "4294967295", "SUDO_GID": GID},
        {"SUDO_UID": f"{2**64 + SOMEBODY.pw_uid}", "SUDO_GID": GID},
        {"SUDO_UID": UID, "SUDO_GID": "4294967295"},
        {"SUDO_UID": f" {UID}", "SUDO_GID": GID},
        {"SUDO_UID": "\u0661", "SUDO_GID": GID},
        {"SUDO_UID": "3999999999", "SUDO_GID": GID},
        {"SUDO_UID": "9" * 5000, "SUDO_GID": GID},
    ],
)
def test_numbers_that_make_no_sense_run_nothing(environment: dict[str, str]) -> None:
    """Rather than to run it as root; the message says how root is kept."""
    with pytest.raises(RefusedError, match=re.escape("chaoskit exec --as-root")):
        caller(environment, 0)


def test_as_root_is_for_root_alone() -> None:
    """Nobody becomes root by it."""
    if os.geteuid() == 0:
        assert choose(True, lambda _: None) is None
    else:
        with pytest.raises(SpecError, match="--as-root"):
            choose(True, lambda _: None)
