"""The learning loop replayed on labelled patients: strategies x seeds, with an annotator who knows the truth.

It drives the strategies, the scores, the vectors and the trainer that a server uses. One *trajectory* is one strategy
with one seed: train on what is labelled, measure on the held-out patients, choose the next batch, label it, and again.
"""
