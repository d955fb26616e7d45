"""The write pipeline: a kind's policy applied to old and new, then one write with its events."""
