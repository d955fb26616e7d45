"""Adapters to network elements, one package for each management protocol.

For authors of adapters: ``base`` defines the interface, ``values`` and ``observations`` its
arguments and results, ``errors`` its exceptions; ``testing`` contains the tests that every adapter
must pass, ``registry`` finds the installed adapters. ``planning``, ``stepwise``, ``mixins``,
``options``, ``locks`` and ``effect`` implement what adapters have in common.
"""
