"""Training of the click model with simulated clicks."""
