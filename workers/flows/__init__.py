"""One workflow per job kind: load, call the pure part, store. The worker side of the job engine.

runtime.py    what a worker process was given: settings, catalog, device
parents.py    the workflows of the job kinds, on the control worker: they plan segments and hold no data
segments.py   the one workflow of a segment, on a compute worker
sampling.py   segment: corpus → chunks on disk
extracting.py segments: chunks → vectors of one shard; shards → published activation sets
measuring.py  segment: activation set → radius report and figure
searching.py  a radius spec → neighbours
reporting.py  the parts of that report, from arrays
partitioning.py its partition function
evaluating.py segment: activation sets → energy report and figure
layers.py     the sets of an energy job: which points ask, and which are left out
energy_parts.py the parts of that report, from arrays
scanning.py   segment: count the documents of a corpus
"""
