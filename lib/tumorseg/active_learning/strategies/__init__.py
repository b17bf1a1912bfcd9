"""One way of choosing a file: a pure ``select`` and a ``build`` that the registry names."""
