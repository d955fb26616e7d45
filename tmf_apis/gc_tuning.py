"""Garbage collection tuned for a long-running process: objects of the start are not scanned."""

import gc

#: Thresholds of the generations 0, 1 and 2, for ``gc.set_threshold``. They are high because a
#: request or a step of an order creates thousands of objects but hardly a reference cycle.
GC_THRESHOLDS = (20_000, 20, 20)


def tune_gc() -> None:
    """Exclude all existing objects from garbage collection, and collect the others less often."""
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    gc.enable()
