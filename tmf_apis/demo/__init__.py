"""The demo operator: realistic data of a small operator, and a walkthrough of its APIs."""

from tmf_apis.demo.generator import SEED, operator_resources
from tmf_apis.demo.loader import load_demo_data

__all__ = ["SEED", "load_demo_data", "operator_resources"]
