"""What the engine says of itself: gauges and query profiles."""
