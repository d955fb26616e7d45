"""One module a way to talk to an element: what an author of an adapter needs to know.

``base`` has the interface, ``values`` and ``observations`` what goes in and out, ``errors`` what
can go wrong, ``testing`` the tests that every adapter must pass, ``registry`` how it is found.
"""
