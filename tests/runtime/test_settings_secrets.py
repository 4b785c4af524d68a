"""A key is taken from the first safe place, from no unsafe one, and is never shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from execd.runtime.settings_load import SettingsError
from execd.runtime.settings_secrets import Secrets

KEY, SECRET = "canary-key-5b1c", "canary-secret-9f2e"


def keys(folder: Path, mode: int = 0o600, key: str | bytes = KEY, secret: str | bytes = SECRET) -> Path:
    folder.mkdir(exist_ok=True)
    for name, value in (("api_key", key), ("api_secret", secret)):
        path = folder / name
        path.write_bytes(value.encode() + b"\n" if isinstance(value, str) else value)
        path.chmod(mode)
    return folder


def shown(secrets: Secrets | None) -> tuple[str, str] | None:
    return None if secrets is None else (secrets.api_key.get_secret_value(), secrets.api_secret.get_secret_value())


def test_systemd_comes_before_the_folder_and_the_folder_before_the_environment(tmp_path: Path) -> None:
    credentials = keys(tmp_path / "credentials", key="systemd-key")
    folder = keys(tmp_path / "keys", key="folder-key")
    environment = {
        "CREDENTIALS_DIRECTORY": str(credentials),
        "EXECD_API_KEY": "environment-key",
        "EXECD_API_SECRET": SECRET,
    }
    assert shown(Secrets.load(folder, environment)) == ("systemd-key", SECRET)
    del environment["CREDENTIALS_DIRECTORY"]
    assert shown(Secrets.load(folder, environment)) == ("folder-key", SECRET)
    assert shown(Secrets.load(tmp_path / "absent", environment)) == ("environment-key", SECRET)
    assert Secrets.load(tmp_path / "absent", {}) is None
    assert Secrets.load(None, {}) is None


def test_systemds_folder_without_a_key_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "credentials").mkdir()
    folder = keys(tmp_path / "keys")
    assert shown(Secrets.load(folder, {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")})) == (KEY, SECRET)


def test_the_environment_is_warned_of_and_a_file_is_not(tmp_path: Path) -> None:
    from_environment = Secrets.load(None, {"EXECD_API_KEY": KEY, "EXECD_API_SECRET": SECRET})
    from_file = Secrets.load(keys(tmp_path / "keys"), {})
    assert from_environment is not None
    assert from_file is not None
    assert "crash dumps" in from_environment.warnings[0]
    assert from_file.warnings == ()


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o601])
def test_a_file_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(SettingsError, match=rf"mode is {mode:04o}, so others may read it; allowed: 0600"):
        Secrets.load(keys(tmp_path / "keys", mode), {})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    folder = keys(tmp_path / "keys")
    os.chown(folder / "api_key", 12345, 12345)
    # Root may read it; whoever owns it may have written it.
    with pytest.raises(SettingsError, match="belongs to user 12345"):
        Secrets.load(folder, {})


def test_half_a_key_is_refused(tmp_path: Path) -> None:
    folder = keys(tmp_path / "keys")
    (folder / "api_secret").unlink()
    with pytest.raises(SettingsError, match=r"api_secret: missing; allowed: both api_key and api_secret"):
        Secrets.load(folder, {})
    with pytest.raises(SettingsError, match="EXECD_API_SECRET: missing"):
        Secrets.load(None, {"EXECD_API_KEY": KEY})


@pytest.mark.parametrize(("content", "words"), [(b"", "empty"), (b"\n \n", "empty"), (b"\xff\xfe\x00", "not a key")])
def test_a_file_that_holds_no_key_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Secrets.load(keys(tmp_path / "keys", key=content), {})


def test_a_folder_or_a_pipe_for_a_key_is_refused(tmp_path: Path) -> None:
    folder = keys(tmp_path / "keys")
    (folder / "api_key").unlink()
    (folder / "api_key").mkdir(mode=0o700)
    with pytest.raises(SettingsError):
        Secrets.load(folder, {})
    (folder / "api_key").rmdir()
    os.mkfifo(folder / "api_key", 0o600)
    with pytest.raises(SettingsError):
        Secrets.load(folder, {})


def test_nothing_shows_a_secret(tmp_path: Path) -> None:
    secrets = Secrets.load(keys(tmp_path / "keys"), {})
    assert secrets is not None
    for text in (repr(secrets), str(secrets), f"{secrets.api_key} {secrets.api_secret!r}"):
        assert KEY not in text
        assert SECRET not in text
    for broken in ({"key": KEY.encode() + b"\xff"}, {"mode": 0o666}):
        with pytest.raises(SettingsError) as problem:
            Secrets.load(keys(tmp_path / "keys", **broken), {})
        chain: BaseException | None = problem.value
        while chain is not None:
            assert KEY not in repr(chain)
            chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)


def test_every_line_of_a_private_key_is_a_secret(tmp_path: Path) -> None:
    pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJcanary\n-----END PRIVATE KEY-----"
    secrets = Secrets.load(keys(tmp_path / "keys", secret=pem), {})
    assert secrets is not None
    assert secrets.api_secret.get_secret_value() == pem
    assert "MC4CAQAwBQYDK2VwBCIEIJcanary" in secrets.values()
