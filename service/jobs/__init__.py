"""Submission, control, recovery and retention of jobs, and the one adapter to the job engine's client side.

submission.py     submission of a job: validation, references, one transaction for its row and the queue's
references.py     checks that the objects that a spec names exist
admission.py      a project's quotas of waiting and running jobs
storage_quota.py  a project's quota of stored bytes
estimation.py     estimates of time, disk and memory; refusal of jobs that do not fit
workload.py       the workload of a job, by which it is estimated
control.py        cancel, retry and delete, for clients
corpora.py        deletion of corpora
imports.py        deletion of imported activation sets
waiting.py        the role of workers that an open job waits for

reconciler.py     jobs that cannot end by themselves: our tables and the engine's made to agree
liveness.py       the state of other workers; recovery of the work of dead ones
retention.py      deletion of expired jobs and of files without an owner

engine.py         the client side of the job engine (DBOS)
polling.py        polling of the engine's queues only when something waits
outages.py        the engine's wait while PostgreSQL cannot be reached
"""
