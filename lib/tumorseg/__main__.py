"""``python -m tumorseg``: the same as the command ``tumorseg``."""

from tumorseg.cli import app

if __name__ == "__main__":
    app(prog_name="tumorseg")
