"""Estimates of a job by arithmetic, without I/O.

shapes.py     sizes of models, samples and sets
shards.py     chunks of a shard
work.py       stages of a job and the amount of work in each
pricing.py    work × a device's speeds → time
parts.py      the parts of one search, which its plan and its estimate share
"""
