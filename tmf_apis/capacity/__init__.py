"""How full the network is, how long the rest lasts, and the alarm before it does not."""
