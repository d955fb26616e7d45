"""Paths of the checkout, the contracts and the captures."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
OPENAPI = ROOT / "openapi"
CAPTURES = ROOT / "tests" / "captures"
