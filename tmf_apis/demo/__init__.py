"""A believable operator to look at and to try things on: its data, and a story told with it."""

from tmf_apis.demo.generator import SEED, operator_resources
from tmf_apis.demo.loader import load_demo_data

__all__ = ["SEED", "load_demo_data", "operator_resources"]
