"""Estimates of a job by arithmetic, without I/O.

shapes     sizes of models, samples and sets
work       stages of a job and the amount of work in each
pricing    work × a device's speeds → time
parts      the parts of one search, which its plan and its estimate share
scale_out  one exact search by many workers
"""
