"""Further base paths of the contracts: a request to one is a request to the canonical path.

The first server of a contract is its base path. The others are published paths that differ from it,
and those of other releases. The path is replaced before the request is counted, authenticated,
routed or logged, so nothing behind this module can tell them apart. Links have the base path.
"""

from collections.abc import Iterable

from tmf_apis.rest.contracts.contract import Contract
from tmf_apis.rest.http.asgi import Scope


class BasePathAliases:
    """The further base paths of some contracts."""

    def __init__(self, contracts: Iterable[Contract]) -> None:
        """Read the paths; they are unique."""
        self._base_paths = {
            mount: contract.base_path for contract in contracts for mount in contract.mounts[1:]
        }
        self._prefixes = tuple(f"{alias}/" for alias in self._base_paths)

    def canonical_path(self, path: str) -> str:
        """Return the path of a request below the base path of its contract."""
        if path.startswith(self._prefixes):
            alias = next(alias for alias in self._base_paths if path.startswith(f"{alias}/"))
            return self._base_paths[alias] + path[len(alias) :]
        return self._base_paths.get(path, path)

    def resolved(self, scope: Scope) -> Scope:
        """Return the scope of a request with the canonical path."""
        path = scope.get("path", "")
        canonical = self.canonical_path(path)
        if canonical == path:
            return scope
        raw_path = self.canonical_path(scope.get("raw_path", b"").decode("latin-1"))
        return {**scope, "path": canonical, "raw_path": raw_path.encode("latin-1")}
