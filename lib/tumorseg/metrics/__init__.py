"""How well a mask agrees with the truth. A metric takes a :class:`tumorseg.metrics.pair.Pair` and returns a number."""
