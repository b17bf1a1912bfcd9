"""Who saw and changed what: an append-only record without patient names."""
