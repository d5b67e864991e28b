"""The pages for a person: Jinja2 templates over what the REST routers answer, our own ES modules, live by job events.

rendering.py    templates, their filters, and the answer of a page
errors.py       errors of a page as a page
charts.py       what a chart shows: series, intervals, its table
distances.py    charts of a radius report, and of several
curves.py       charts of profiles, energies, trainings and sweeps
overview.py     `/`, jobs, models, corpora
results.py      activation sets, radius, energy, profiles
experiments.py  trainings and sweeps
login.py        log-in by key
asking.py       the memory asked by a sentence; the theory calculator
files.py        styles, scripts, and Plotly's from its package
"""
