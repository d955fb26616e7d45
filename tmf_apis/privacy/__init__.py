"""The rights of persons: export, erasure and retention of personal data, and the data keys."""
