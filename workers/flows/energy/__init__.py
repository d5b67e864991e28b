"""An energy job: activation sets, as layers → their energy report.

job.py             the workflow: one segment
arguments.py       its arguments and result
report.py          segment: the sets → report, energies, figure, published
sets.py            the sets as layers of patterns, and the query points
layers.py          energies of the points among one layer's patterns
descent.py         how every block of consecutive layers changes the energies of its layer
descent_fields.py  its fields: errors, paired differences from the null models, verdicts
fields.py          the other fields of the report, from arrays
figure1.py         the report of the built-in: the paper's Fig. 1
"""
