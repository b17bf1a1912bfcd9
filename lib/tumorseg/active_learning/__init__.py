"""What to label next, whether it still pays, and a simulation that tells which way of choosing is best."""
