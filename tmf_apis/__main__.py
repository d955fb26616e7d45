"""``python -m tmf_apis`` is ``tmf``."""

from tmf_apis.cli import main

main(prog_name="tmf")
