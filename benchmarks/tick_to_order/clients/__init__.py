"""Those who answer a trigger with an order, a process each: `python -m benchmarks.tick_to_order.clients.NAME JSON`."""
