"""tumorseg: a tumour annotation server on MONAI Label's protocol.

Importing the package does nothing heavy; see :mod:`tumorseg.registry` for the models and
:mod:`tumorseg.cli` for the commands.
"""

__version__ = "0.1.0"
