"""Metadata: one module per noun, over one `Catalog`. All SQL is here; `service.jobs` and `settings` use SQLAlchemy only
for connections, URLs and events.

engine.py            `Catalog`: the connection to SQLite or PostgreSQL, and its transactions
deadline.py          connections to PostgreSQL with a time limit on every answer
tables.py            the tables
migrate.py           the upgrade to the newest schema; `migrations/` has the steps
ownership.py         the restriction of a connection to the rows of one project
rows.py              SQL that every noun uses: one row, one page, inserts that may be repeated
clock.py             the database's clock
locks.py             the lock of each worker's name

jobs.py              jobs and their results
inputs.py            the activation sets and training runs that a job reads
segments.py          segments of jobs: owner, fencing token, progress
events.py            events of jobs
quotas.py            numbers of waiting and running jobs of a project
workflows.py         reads of the job engine's table of workflows
background_tasks.py  tasks that belong to no job
workers.py           workers: last heartbeat, device, report
calibrations.py      measured speeds of each kind of device

products.py          products of all kinds, and those of a deleted job
corpora.py           registered corpora
activations.py       activation sets
reuse.py             finished activation sets that other jobs use again
radius.py            radius reports
energy.py            energy reports
profiles.py          profiles
training.py          training runs, their metrics and kept models
run_states.py        state and error of training runs
sweeps.py            sweeps
reproductions.py     reproductions

totals.py            numbers over many rows, for metrics
snapshots.py         the whole database as files, and a database from them
"""
