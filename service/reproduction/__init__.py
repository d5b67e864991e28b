"""Verdicts on the paper's claims from the numbers of reports, and the report of them. Pure: contracts in and out.

required_jobs.py    the jobs that a claim needs, by scale
rules.py            the rules that turn numbers into verdicts
finding.py          the finding of one claim from its numbers
theory_claims.py    claims that are computed
energy_claims.py    claims that energy reports decide
radius_claims.py    claims that radius reports decide
training_claims.py  claims that training runs and sweeps decide
evidence.py         the gathered numbers, and every claim on them
errata.py           the errata of the formulas
charts.py           figures as SVG
words.py            numbers and verdicts in words
markdown.py         the report as Markdown
html.py             the report as HTML
comparison.py       two reports side by side
"""
