"""TMF630: HTTP, queries, contracts, version views and the write pipeline."""
