"""The engineer at the console: `tmf adapters`, `tmf element ...`."""
