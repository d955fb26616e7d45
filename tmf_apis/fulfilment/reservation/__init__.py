"""Finding and holding what tasks need: ports, numbers, addresses, shares of uplinks."""
