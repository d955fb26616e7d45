"""Network operations: discovery, audits and their remedies, fallout, capacity.

The work itself is done by the worker (``reconciliation``, ``fulfilment``, ``capacity``); here is
what its resources may be.
"""

from functools import partial

from tmf_apis.network import fallout, rules
from tmf_apis.network.reach import Reach
from tmf_apis.rest.law import Law, Room
from tmf_apis.settings import Settings

__all__ = ["room"]


def room(settings: Settings) -> Room:
    """Return the room; all of it is for the operator's own people."""
    laws = {
        "FalloutTask": fallout.LAW,
        "NetworkDiscovery": Law(
            lifecycle=rules.TASK,
            server_owned=rules.DISCOVERED,
            on_create=partial(rules.on_create_discovery, Reach.of(settings)),
            act=rules.for_staff,
        ),
        "NetworkAudit": Law(
            lifecycle=rules.TASK,
            server_owned=rules.AUDITED,
            on_create=rules.on_create_task,
            act=rules.for_staff,
        ),
        "ResolveDifference": Law(
            lifecycle=rules.TASK,
            server_owned=rules.RESOLVED,
            on_create=rules.on_create_task,
            check=rules.check_audit,
            act=rules.for_staff,
        ),
    }
    return Room(number="NETWORK", laws=laws, models=(fallout.FalloutTask,))
