"""One module a way to talk to an element."""
