"""What the command line changes in the settings, held to the same rules."""

from __future__ import annotations

from pathlib import Path

from execd.runtime.settings import Mode, Settings, SettingsError


def override(settings: Settings, *, state_dir: Path | None, mode: str | None, metrics_port: int | None) -> Settings:
    """Return settings with what was given in place of what the file says.

    Raises:
        SettingsError: a mode that does not exist.
    """
    changes: dict[str, object] = {}
    if state_dir is not None:
        changes["state_dir"] = state_dir
    if mode is not None:
        changes["mode"] = _mode(mode)
    if metrics_port is not None:
        changes["metrics"] = settings.metrics.model_copy(update={"port": metrics_port})
    return settings.model_copy(update=changes)


def _mode(text: str) -> Mode:
    try:
        return Mode(text)
    except ValueError:
        allowed = ", ".join(mode.value for mode in Mode)
        raise SettingsError([f"--mode: value is {text!r}; allowed: {allowed}"]) from None
