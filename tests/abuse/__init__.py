"""What somebody hostile would try, against the real application; `make abuse` prints one line a known hole."""
