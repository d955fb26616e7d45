"""Runs the command ``tmf`` as ``python -m tmf_apis``."""

from tmf_apis.cli import main

main(prog_name="tmf")
