"""Question-Formation: its language, data, exact entropy and evaluation.

lexicon.py         the words, and the lexicons of the controls
frames.py          the shapes of sentences and their probabilities
grammar.py         sentences and lines; drawing and parsing them
splits.py          training, validation, test and generalisation set from a seed
original_files.py  the same sets from a folder with the names of the published files
checks.py          the conditions that all data must fulfil
vocabulary.py      token ids, part labels, batches
entropy.py         the exact entropy of the grammar and of a run's own data: the floor of each loss
evaluation.py      losses by part, first auxiliaries, exact match, generalisation

Sources: McCoy, Frank & Linzen 2020 (the task); Murty et al. 2023 (the language model); the paper's appendix F.2.
"""
