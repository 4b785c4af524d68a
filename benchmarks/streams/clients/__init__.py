"""Those who listen to the flood, a process each: `python -m benchmarks.streams.clients.NAME JSON` prints JSON."""
