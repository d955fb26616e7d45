"""The differences between v4 and v5 of each resource, as data: one module per API."""
