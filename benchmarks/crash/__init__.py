"""Kill -9 at random moments while labels are saved, and what is left of every label that was acknowledged.

``python -m benchmarks.crash``. An acknowledgement is what a client was told after its save returned; it travels through
a pipe, whose content survives the process that wrote it. Nothing here is mocked: the processes, the kills and the
files are real. What a machine that loses power leaves behind is not measured.
"""
