"""The commands of `radius`; `service/cli.py` declares them.

administration  `radius db`, `keys` and `health`
theory          `radius theory …`
demo, doctor    `radius demo`, `radius doctor`
output          tables, progress bars and JSON that several commands print
energies, estimates, sweeps, training   what `radius report`, `query` and `estimate` print of each
metrics         event files for TensorBoard
reading         files that commands read
"""
