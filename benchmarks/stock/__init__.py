"""Stock MONAI Label in an environment of its own: its pins, its app, and what prepares both."""
