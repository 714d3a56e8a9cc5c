"""Sentiment: a MiniLM body with trained corrections and head, and the sentences its subnet needs.

Importing this package, `catalog`, `sentences` and `errors` does not import torch; `model` and `network` do.
"""
