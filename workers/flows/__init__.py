"""The workflows of the service: one folder per job kind. The worker side of the job engine.

engine/        what all share: process state, dispatching, waiting, segments, ownership, prepared values
publishing.py  the one protocol: write aside → publish → record under the fence
estimated.py   an estimate of the statistics as reports have it
precision.py   the warning that the digits of a forward pass do not suffice for the distances
control.py     imports all workflows, for the control worker
compute.py     imports all segments, for compute workers and trainers

extraction/    corpus → activation sets             radius/        activation set → radius report
analysis/      extraction, then radius and energy    energy/        activation sets → energy report
training/      training runs and sweeps of them      profile/       radius reports of several sites, over depth
scans/         counting a corpus                     calibrations/  measuring a device
reproduction/  the paper's claims, each with a verdict

In most folders `job.py` is the workflow, `arguments.py` has the arguments and results of its segments, and the other
files are the segments and the functions behind them. A segment loads its input, calls the rooms that compute, and
publishes their result.
"""
