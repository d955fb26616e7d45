"""Access to network elements: pooled connections, circuit breakers and element leases."""
