"""Training: data, losses, engine, checkpoints. One engine for the command line and the server's subprocess."""
