"""The compute of Radius: models, corpora, activations, exact neighbours, figures, and the worker processes."""
