"""A believable operator to look at and to try things on: its data, and a story told with it."""

from tmf_apis.demo.filling import fill
from tmf_apis.demo.generator import SEED, operator

__all__ = ["SEED", "fill", "operator"]
