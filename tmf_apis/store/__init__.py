"""Storage: resources in MongoDB, and the embedded database and Temporal server."""
