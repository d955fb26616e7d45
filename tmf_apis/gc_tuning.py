"""Garbage collection of a long-running process: objects created at startup are not scanned."""

import gc

#: Thresholds of the generations 0, 1 and 2, for ``gc.set_threshold``. They are high because a
#: request or a step of an order creates thousands of objects but hardly any reference cycles.
GC_THRESHOLDS = (20_000, 20, 20)


def tune_gc() -> None:
    """Exclude all existing objects from garbage collection; collect other objects less often."""
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    gc.enable()
