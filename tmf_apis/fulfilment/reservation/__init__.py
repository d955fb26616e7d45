"""Search and reservation of resources: ports, numbers, addresses, shares of uplinks."""
