"""The check of the kinds that ``TMF_RETENTION`` names: they are those of the contracts."""

from collections.abc import Iterable
from difflib import get_close_matches

from tmf_apis.engine import CONTRACTS_DIR
from tmf_apis.events import inbox
from tmf_apis.rest.contracts.contract import Contract, load_contracts
from tmf_apis.settings import Settings
from tmf_apis.store.process import CannotStart


def check_retention(settings: Settings, contracts: Iterable[Contract] | None = None) -> None:
    """Check the kinds that ``TMF_RETENTION`` names.

    Args:
        settings: The configuration.
        contracts: The contracts; None: they are loaded if the setting names a kind.

    Raises:
        CannotStart: No contract has one of them; the message names the nearest kind.
    """
    if not settings.retention:
        return
    if contracts is None:
        contracts = load_contracts(CONTRACTS_DIR, settings.data_dir / "cache")
    kinds = {o.kind for contract in contracts for o in contract.operations if o.kind}
    kinds.add(inbox.COLLECTION)
    for kind, _ in settings.retention:
        if kind not in kinds:
            near = get_close_matches(kind, kinds, 1)
            hint = f"did you mean {near[0]}?" if near else "expected kinds such as ProductOrder"
            raise CannotStart(f"TMF_RETENTION: no contract has the kind {kind}; {hint}")
