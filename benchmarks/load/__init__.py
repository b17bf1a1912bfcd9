"""Many clients at once against a live server, then many requests and what the server holds after them.

``python -m benchmarks.load``; what is measured and how is said in ``docs/performance.md``.
"""
