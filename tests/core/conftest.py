"""How Hypothesis looks for examples here: a busy machine is no counterexample, so nothing is timed."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("core", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("core")
