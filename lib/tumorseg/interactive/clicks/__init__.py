"""The click model: a network that corrects a mask where it is clicked."""
