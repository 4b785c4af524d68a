"""What the way of a public trade costs, from the socket to the benchmark's sum: execd beside others."""
