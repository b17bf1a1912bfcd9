"""Learning from labels while the server runs: which cases count, who validates, training, scores, publishing."""
