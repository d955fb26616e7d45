"""When the interpreter looks for garbage: what was made at the start stays, so it is left out."""

import gc

#: A request or a step of an order makes thousands of objects and hardly a cycle. Generations 0, 1
#: and 2, as for ``gc.set_threshold``.
GC_THRESHOLDS = (20_000, 20, 20)


def tune_gc() -> None:
    """Look for no garbage among what is there now, and seldom among the rest."""
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    gc.enable()
