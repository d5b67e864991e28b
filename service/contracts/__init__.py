"""The shared words as pydantic models; the REST schema is made from them.

base.py              strict models, safe strings, pages
reading.py           validation of untrusted values, errors that name fields
corpora.py           corpora
model_config.py      the config.json of a model folder; rotary.py: its rotary positions
models.py            the models that a service has
families/            facts of each family of models
sites.py             the grammar of sites (hook points)
site_names.py        the names that libraries give to them; site_list.py: the answer that lists them
extraction.py        the spec of an extraction
activations.py       activation sets
radius.py            the spec and the report of a radius job
statistics.py        errors, dimension, null models, classes and scale in that report
profile.py           the profile of several radius reports
partition.py         the partition function in that report
energy.py            the spec of an energy job; the small evaluation
energy_report.py     the report of an energy job
descent_report.py    its part on blocks as a search, eq. (6)
figure1.py           the minima of Fig. 1
training.py          the spec of a training, and its run
run_models.py        the names of kept models
sweeps.py            the spec of a sweep, and its table
jobs.py              jobs, their events and products
spec_fields.py       the fields of each kind of spec, for people and for OpenAPI
specs.py             how the spec of a request, or of the database, is read
presets.py           all presets
training_presets.py  those of trainings: sentence_presets.py (Question-Formation), window_presets.py (OpenELM)
sweep_presets.py     those of sweeps
claims.py            the claims of the paper, as data
reproduction.py      the spec of a reproduction, and its report
workers.py           worker processes, what they report
estimates.py         estimates of jobs, speeds of devices
query.py             queries of an activation set
theory.py            answers of the closed forms
theory_tables.py     those that come as tables
"""
