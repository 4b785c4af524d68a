"""Fast native trade streams over `websockets`, one file an exchange, rhyming."""
