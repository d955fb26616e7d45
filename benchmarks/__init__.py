"""Measurements: commands that print figures and ratios taken side by side in one run."""
