"""The twenty sites of the demo operator."""

from dataclasses import dataclass

from tmf_apis.demo.builders import reference
from tmf_apis.demo.people import TOWNS
from tmf_apis.rest.pipeline.policy import Resource


@dataclass(frozen=True, slots=True)
class Site:
    """A site.

    Attributes:
        number: Number of the site, from 1.
        name: Name of the town.
    """

    number: int
    name: str

    @property
    def id(self) -> str:
        """Id of the place; places are not resources of these APIs."""
        return f"site-{self.number:02}"

    @property
    def code(self) -> str:
        """Code of the site, the prefix of the names of its equipment."""
        return f"{self.name[:3].upper()}{self.number:02}"

    @property
    def reference(self) -> Resource:
        """Reference to the place of the site."""
        href = f"/tmf-api/geographicSiteManagement/v5/geographicSite/{self.id}"
        return reference("PlaceRef", self.id, self.name, "GeographicSite", href=href)


def sites() -> list[Site]:
    """Return the sites."""
    return [Site(number, name) for number, name in enumerate(TOWNS, 1)]
