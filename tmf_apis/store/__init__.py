"""Resources in MongoDB; the embedded database."""
