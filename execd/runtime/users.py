"""Who a user id is, by the system's own list."""

from __future__ import annotations

import pwd


def named(uid: int) -> str:
    """Return a user's name with the id, or the id alone where the system has no name for it."""
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"
