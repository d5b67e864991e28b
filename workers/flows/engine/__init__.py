"""The engine that all job kinds share.

runtime.py          the state of a worker process
dispatching.py      a job's workflow on the control worker: start, enqueue, gather, finish
waiting.py          one thread that polls for all workflows that wait
segments.py         kinds of segments with typed arguments and results; the registry that `@runs` fills
execution.py        the one workflow of every segment, on a compute worker
ownership.py        owner and fencing token of a segment: progress, check, record
memory.py           freed memory is returned to the operating system
prepared_values.py  a prepared value kept between two segments of a worker
"""
