"""The scopes that a token of ``tmf token`` can have."""

from collections.abc import Sequence
from difflib import get_close_matches

import click

from tmf_apis.engine import CONTRACTS_DIR
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.security.identity import PERSONAL_DATA_SCOPE
from tmf_apis.settings import Settings

#: Scope of the pages of administrators.
ADMIN_SCOPE = "admin"
#: Scopes that no contract names and that a token has only if they are asked for.
_FURTHER_SCOPES = ("metrics",)


def chosen_scopes(settings: Settings, scopes: Sequence[str]) -> tuple[str, ...]:
    """Return the scopes, or all of the contracts, administration and personal data if none.

    Raises:
        click.ClickException: A scope does not exist; the message names the nearest one.
    """
    contracts = load_contracts(CONTRACTS_DIR, settings.data_dir / "cache")
    of_contracts = {scope for contract in contracts for scope in contract.scopes}
    default = (*sorted(of_contracts), ADMIN_SCOPE, PERSONAL_DATA_SCOPE)
    chosen = tuple(scope for text in scopes for scope in text.split())
    for scope in chosen:
        if scope not in (known := (*default, *_FURTHER_SCOPES)):
            near = get_close_matches(scope, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}"
            raise click.ClickException(f"there is no scope {scope!r}; {hint}")
    return chosen or default
