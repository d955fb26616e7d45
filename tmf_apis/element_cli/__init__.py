"""Commands for network engineers: ``tmf adapters`` and ``tmf element``."""
