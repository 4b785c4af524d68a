"""execd works one parent order on a crypto exchange, tracking the market VWAP."""
