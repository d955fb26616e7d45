"""What the lab's elements have in common that stand in a network of their own."""

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
        name: What the element is called.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._network: NetworkT | None = None

    @abstractmethod
    def _create_network(self, files: Path) -> NetworkT:
        """Make the network."""

    @abstractmethod
    def _start_element(self) -> None:
        """Configure the element and start it."""

    @abstractmethod
    def _stop_element(self) -> None:
        """Stop the element, whether it runs or not."""

    def __enter__(self) -> Self:
        return self.up()

    def __exit__(self, *_: object) -> None:
        self.down()

    @property
    def network(self) -> NetworkT:
        """The network, while the lab is up.

        Raises:
            LabError: It is not.
        """
        if self._network is None:
            raise LabError("the lab is not up")
        return self._network

    def up(self) -> Self:
        """Make the network and start the element; about a second.

        Raises:
            LabError: The machine does not do what the lab needs; nothing is left behind.
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
        """Stop the element and remove everything; may be called twice."""
        if self._network is not None:
            self._stop_element()
            self._network.remove()
            self._network = None

    def cut_link(self, port: str) -> None:
        """Cut the cable of a port."""
        self.network.cut_link(port)

    def restore_link(self, port: str) -> None:
        """Mend the cable of a port."""
        self.network.restore_link(port)
