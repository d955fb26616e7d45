"""From an order and the catalogues to a graph of tasks: pure but for ``shelves``."""
