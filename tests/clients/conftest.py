"""The drivers run in an environment of their own, with the generated clients."""

collect_ignore = ["drivers"]
