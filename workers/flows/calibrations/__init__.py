"""A calibration: a background task that measures how fast a worker's device is, outside any job.

job.py      the workflow
measure.py  the segment
"""
