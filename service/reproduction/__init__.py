"""From the numbers of reports to verdicts on the paper's claims, and the report of them. Pure: contracts in and out.

required_jobs.py    which jobs a claim needs at which scale
parts.py            the former name of required_jobs.py
rules.py            from numbers to a verdict
finding.py          what the numbers of one claim come to
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
