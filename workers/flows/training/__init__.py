"""Training jobs and sweeps: one run, or a grid of runs.

job.py              the workflow of a training: prepare, train segment by segment, finish, trajectory
sweep_job.py        the workflow of a sweep, and of each of its runs
arguments.py        the segments' arguments and results
segments.py         segments: prepare a run, train for a while, finish
trainers.py         the trainer of a run, restored from its last saved state
data.py             the prepared data of runs, and the task that a run makes of them
log.py              metrics, saved states, kept models and the figure, written while the run goes on
superseded.py       which kept models stay, and the removal of the others
trajectory.py       segment: the radius in one kept model
sweep.py            segments: prepare the runs of a sweep, tabulate those that have ended
sweep_tables.py     Table 3 of a sweep
growing_folders.py  folders of a run or sweep, published while it grows
"""
