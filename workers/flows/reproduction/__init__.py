"""The paper's claims, each with a verdict: a job that submits others, and the report of their results.

arguments.py  the segments' arguments and results
job.py        the workflow: submit, wait, publish again after every part
children.py   the jobs of the parts: submitted, or found finished; waited for
model.py      segment: the model that is measured, trained first where it is the demo's
held_out.py   segment: Assumption 2 on the two halves of a set's documents
gathering.py  the published reports of the parts → the evidence of the rules
costs.py      costs of the claims that were not decided
report.py     segment: report, figures, documents, published
"""
