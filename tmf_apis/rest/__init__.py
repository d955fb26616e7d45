"""TMF630, one module a concern."""
