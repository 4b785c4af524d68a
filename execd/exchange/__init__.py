"""The practice exchange: a matching engine behind a real exchange's own wire protocol."""
