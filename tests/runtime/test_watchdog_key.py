"""The watchdog's key is its own: from its own places, and not the daemon's as far as can be known."""

from __future__ import annotations

from pathlib import Path

import pytest

from execd.runtime.launch import InterlockError
from execd.runtime.settings import Mode, Settings, SettingsError, WatchdogSettings
from execd.runtime.watchdog_run import own_key

DAEMONS, OWN, SECRET = "canary-daemons-5b1c", "canary-own-77aa", "canary-secret-9f2e"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine of the tests may have set says nothing here."""
    for owner in ("EXECD", "EXECD_WATCHDOG"):
        for name in ("API_KEY", "API_SECRET"):
            monkeypatch.delenv(f"{owner}_{name}", raising=False)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    own = WatchdogSettings(keys_dir=tmp_path / "keys" / "watchdog")
    return Settings(mode=Mode.TESTNET, keys_dir=tmp_path / "keys", watchdog=own)


def put(folder: Path, key: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in (("api_key", key), ("api_secret", SECRET)):
        (folder / name).write_text(value)
        (folder / name).chmod(0o600)


def test_it_comes_from_a_folder_or_from_variables_of_the_watchdogs_own(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon's places are not the watchdog's: with a key in those alone there is none."""
    put(settings.keys_dir, DAEMONS)
    monkeypatch.setenv("EXECD_API_KEY", DAEMONS)
    monkeypatch.setenv("EXECD_API_SECRET", SECRET)
    with pytest.raises(InterlockError, match=r"needs a key of its own.*EXECD_WATCHDOG_API_KEY"):
        own_key(settings)
    monkeypatch.setenv("EXECD_WATCHDOG_API_KEY", OWN)
    with pytest.raises(SettingsError, match="EXECD_WATCHDOG_API_SECRET: missing"):
        own_key(settings)
    monkeypatch.setenv("EXECD_WATCHDOG_API_SECRET", SECRET)
    assert own_key(settings).source == "environment"
    put(settings.watchdog.keys_dir, OWN)
    assert own_key(settings).source == str(settings.watchdog.keys_dir)


def test_a_key_for_another_environment_is_refused(settings: Settings) -> None:
    put(settings.watchdog.keys_dir, OWN)
    mode = settings.watchdog.keys_dir / "api_mode"
    mode.write_text("live")
    mode.chmod(0o600)
    with pytest.raises(InterlockError, match=r"key is for live .*, but mode is testnet"):
        own_key(settings)
    mode.write_text("testnet")
    assert own_key(settings).mode == "testnet"


def test_the_daemons_own_key_is_refused_wherever_it_can_be_seen(settings: Settings) -> None:
    """The message names both places and no part of the key."""
    put(settings.keys_dir, DAEMONS)
    put(settings.watchdog.keys_dir, DAEMONS)
    with pytest.raises(InterlockError) as caught:
        own_key(settings)
    said = str(caught.value)
    assert str(settings.keys_dir) in said
    assert str(settings.watchdog.keys_dir) in said
    assert DAEMONS not in said


def test_a_daemons_key_that_cannot_be_seen_is_no_obstacle(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not ours to read, or there is none; and what systemd hands to us is not the daemon's."""
    put(tmp_path / "credentials", OWN)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    assert own_key(settings).api_key.get_secret_value() == OWN
    put(settings.keys_dir, OWN)
    (settings.keys_dir / "api_key").chmod(0o644)
    assert own_key(settings).api_key.get_secret_value() == OWN
