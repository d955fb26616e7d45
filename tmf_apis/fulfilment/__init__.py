"""Order to plan to network, and back out again."""
