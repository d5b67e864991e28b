"""A corpus scan: a background task that counts a corpus's documents, outside any job.

job.py    the workflow
count.py  the segment
"""
