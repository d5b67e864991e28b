"""A radius job: an activation set → its radius report.

job.py                the workflow: one segment, or for a large search a plan, its parts and the report
arguments.py          the segments' arguments and results
search.py             a radius spec → the question that is searched, and its answer by one worker
account.py            how it was searched, for the report's provenance
parts.py              segments of a large search: plan, parts, counts, null model
staged.py             the folders in which these segments stage what they computed
settling.py           segment: the neighbours of a range of the queries, from the parts
joining.py            the answer of a large search, from the settled ranges
report.py             segment: report, neighbours and figure, published
fields.py             fields of the report, from arrays
description.py        its statistics as fields, and the warnings that follow from them
statistics.py         its statistics, with what they search besides
statistics_fields.py  fields of the report, from these
nulls.py              null models fitted to the rows
notices.py            warnings that follow from the statistics
neighbor_files.py     the neighbours as files for other programs
partition.py          the partition function of the report
"""
