"""Base class of the lab elements that have a network of their own."""

import shutil
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Generic, Self, TypeVar

from adapters.lab.network import LabError, LabNetwork, remove_stale_namespaces

NetworkT = TypeVar("NetworkT", bound=LabNetwork)


class LabElement(ABC, Generic[NetworkT]):
    """An element in a network of its own; a context manager.

    Attributes:
        name: Name of the element.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._network: NetworkT | None = None

    @abstractmethod
    def _create_network(self, files: Path) -> NetworkT:
        """Create the network."""

    @abstractmethod
    def _start_element(self) -> None:
        """Configure and start the element."""

    @abstractmethod
    def _stop_element(self) -> None:
        """Stop the element; safe to repeat."""

    def __enter__(self) -> Self:
        return self.up()

    def __exit__(self, *_: object) -> None:
        self.down()

    @property
    def network(self) -> NetworkT:
        """The network of the element.

        Raises:
            LabError: The lab is not up.
        """
        if self._network is None:
            raise LabError("the lab is not up")
        return self._network

    def up(self) -> Self:
        """Create the network and start the element; this takes about a second.

        Raises:
            LabError: The machine lacks something; everything is removed again.
        """
        remove_stale_namespaces()
        files = Path(tempfile.mkdtemp(prefix="tmflab-"))
        try:
            self._network = self._create_network(files)
            self._start_element()
        except BaseException:
            self.down()
            shutil.rmtree(files, ignore_errors=True)
            raise
        return self

    def down(self) -> None:
        """Stop the element and remove its network and files; safe to repeat."""
        if self._network is not None:
            self._stop_element()
            self._network.remove()
            self._network = None

    def cut_link(self, port: str) -> None:
        """Take the link of a port down."""
        self.network.cut_link(port)

    def restore_link(self, port: str) -> None:
        """Bring the link of a port up again."""
        self.network.restore_link(port)
