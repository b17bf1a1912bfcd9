"""The learning loop over HTTP: two annotators, kills, poison and a way back; ``make loop-check`` runs it."""
