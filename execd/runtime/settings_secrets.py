"""The exchange key: where it may lie, and that nobody else can read it there.

Promise: a key comes from the first place that has one: the folder that systemd gives ($CREDENTIALS_DIRECTORY), the
folder keys_dir, the environment.  A file that others can read is refused, never used.  No message of this module holds
any part of a secret, and neither does the repr of what it returns.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from execd.runtime.settings_load import SettingsError

KEY, SECRET, MODE = "api_key", "api_secret", "api_mode"  # names of files
MODES = ("live", "testnet")
"""What a key can be for."""

DAEMON, WATCHDOG = "EXECD", "EXECD_WATCHDOG"  # whose: what the names of its variables begin with
_LARGEST = 1 << 16


@dataclass(frozen=True)
class Secrets:
    """A key and its secret (an HMAC secret or a private key in PEM), where they came from, and what to warn of.

    `mode` is what the key is said to be for, one of MODES; None: that is not said.  `mode_at` is where that belongs.
    """

    api_key: SecretStr
    api_secret: SecretStr
    source: str
    mode: str | None
    mode_at: str
    warnings: tuple[str, ...] = field(default=())

    @classmethod
    def load(
        cls, folder: Path | None, environment: Mapping[str, str] = os.environ, owner: str = DAEMON
    ) -> Secrets | None:
        """Return the key from the first place that has one, None where no place has.

        Args:
            folder: where its files lie.
            environment: the variables of the process.
            owner: whose key it is, DAEMON or WATCHDOG: the variables are <owner>_API_KEY and <owner>_API_SECRET.

        Raises:
            SettingsError: a place has half a key, a file in it is open to others, not ours, or not readable, or what
                the key is for is none of MODES.
        """
        given = environment.get("CREDENTIALS_DIRECTORY")
        # systemd shows its own files, which an access list opens to us alone, as readable by the group.
        for place, others in ((Path(given) if given else None, 0o037), (folder, 0o077)):
            if place is not None and (found := _in_folder(place, others)) is not None:
                return cls(*found, str(place), _mode_in(place, others), str(place / MODE))
        variables = f"{owner}_API_KEY", f"{owner}_API_SECRET"
        key, secret = (environment.get(variable, "") for variable in variables)
        if not key and not secret:
            return None
        if not (key and secret):
            missing = variables[1] if key else variables[0]
            raise SettingsError([f"environment: {missing}: missing; allowed: both {' and '.join(variables)}"])
        warning = "the exchange key comes from the environment, which crash dumps and /proc show; better a file"
        at = f"{owner}_API_MODE"
        mode = _mode(environment.get(at, ""), f"environment: {at}")
        return cls(SecretStr(key), SecretStr(secret), "environment", mode, at, (warning,))

    def values(self) -> tuple[str, ...]:
        """Every text that must never be shown: the two, and each line of a private key."""
        key, secret = self.api_key.get_secret_value(), self.api_secret.get_secret_value()
        return (key, secret, *(line for line in secret.splitlines() if len(line) >= 16 and line != secret))


def _in_folder(folder: Path, others: int) -> tuple[SecretStr, SecretStr] | None:
    """Read the pair of files in a folder, None where neither is there; `others` are permissions that must be off."""
    paths = [folder / KEY, folder / SECRET]
    try:
        present = [os.path.lexists(path) for path in paths]
    except (OSError, ValueError) as error:
        raise SettingsError([f"{folder}: cannot be looked at: {error}"]) from error
    if not any(present):
        return None
    key, secret = (_read(path, others) for path in paths)
    return key, secret


def _mode_in(folder: Path, others: int) -> str | None:
    """Read what the key of a folder is for, None where no file says it."""
    path = folder / MODE
    if not os.path.lexists(path):
        return None
    return _mode(_read(path, others).get_secret_value(), str(path))


def _mode(word: str, where: str) -> str | None:
    if word and word not in MODES:
        # Not shown: it may be a secret that lies in the wrong place.
        raise SettingsError([f"{where}: no such word; allowed: {' or '.join(MODES)}"])
    return word or None


def _read(path: Path, others: int) -> SecretStr:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            _private(path, os.fstat(file.fileno()), others)
            content = file.read(_LARGEST)
    except FileNotFoundError as error:
        raise SettingsError([f"{path}: missing; allowed: both {KEY} and {SECRET} in {path.parent}"]) from error
    except OSError as error:
        raise SettingsError([f"{path}: cannot be read: {error.strerror}"]) from error
    try:
        text = content.decode("ascii").strip()
    except UnicodeDecodeError:
        # Not chained: the exception holds the bytes.
        raise SettingsError([f"{path}: not a key: it holds other bytes than ASCII text"]) from None
    if not text:
        raise SettingsError([f"{path}: empty; allowed: the key alone"])
    return SecretStr(text)


def _private(path: Path, status: os.stat_result, others: int) -> None:
    """Refuse what others can read, or could have written."""
    if not stat.S_ISREG(status.st_mode):
        raise SettingsError([f"{path}: not a file"])
    if status.st_uid not in (os.geteuid(), 0):
        raise SettingsError([f"{path}: belongs to user {status.st_uid}; allowed: your own file (user {os.geteuid()})"])
    if status.st_mode & others:
        mode = stat.S_IMODE(status.st_mode)
        raise SettingsError([f"{path}: mode is {mode:04o}, so others may read it; allowed: 0600 (chmod 600 {path})"])
