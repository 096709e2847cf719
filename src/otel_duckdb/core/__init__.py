"""What happened: operations, connections, transactions; it knows neither who produces them nor who consumes them."""
