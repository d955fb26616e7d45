"""TM Forum Open APIs on MongoDB, connected to the network elements that fulfil orders."""
