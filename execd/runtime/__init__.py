"""Runs: one inbox, one writer, the journal before the wire."""
