"""Ways to the elements: open connections, one changer at a time, and rest for those that fail."""
