"""The paper's closed forms, as printed and corrected, and histograms (numpy and scipy only).

domain.py               ranges of the arguments
balls.py                volumes and the integral (12) of a ball
ball_bounds.py          the printed integral, and bounds of it
incomplete_gamma.py     incomplete gamma functions in log space
disjoint_balls.py       Assumption 3 on measured patterns
partition.py            the partition function (13), (14)
measured_partition.py   the same with measured radii
unit_partition.py       Z = 1
radius.py               the radius answers
balance.py              Prop. 5
loss.py                 Prop. 4 and eq. (15)
loss_readings.py        the loss under each reading of the layer energy
scaling_laws.py         Chinchilla, eq. (1), and Kaplan
reported_losses.py      Table 2
hopfield_capacities.py  Table 1
transformer_size.py     numbers of parameters: GPT-2, appendix E
openelm_size.py         numbers of parameters: OpenELM, appendix G.1
stopping.py             D* of appendix F.3
stopping_table.py       Table 3 as printed
stopping_draws.py       intervals of a measured Table 3
measured_stopping.py    Table 3 for measured runs
energy.py               the energies of section 4: the reference of every engine
softmax_weights.py      weights and their entropy, with a bound on their rounding
energy_bounds.py        Props. 1 to 3
energy_global.py        eqs. (7) to (10)
evaluation.py           all energies of a few queries
retrieval.py            retrieval steps and their fixed points
storage.py              balls that provably attract
figure1.py              Fig. 1
histograms.py           edges, counts and densities of every histogram
"""
