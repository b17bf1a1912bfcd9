"""Interactive models behind the server: what viewers send as prompts, sessions, and the lane of the clicks."""
