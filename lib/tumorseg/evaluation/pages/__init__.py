"""Pages and pictures of an evaluation, for people to look at."""
