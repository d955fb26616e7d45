"""TM Forum Open APIs over MongoDB, joined to the network elements that fulfil them."""
