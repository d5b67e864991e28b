"""Figures, which workers draw when they publish a result; the API serves them as files.

radius.py            of a radius report: the whole
radius_curves.py     its curves of data, null models and theory
radius_distances.py  its panel of densities, with means and intervals above them
radius_panels.py     its panels of intrinsic dimension and size of the sample
profile.py           a profile: distance, dimension and null ratios over depth
energy.py            of an energy report
energy_curves.py     its panels of g, β (E − g) and E_MCHN
descent.py           its panel of blocks as a search
figure1.py           the paper's Fig. 1
training.py          of a training run
sweep.py             of a sweep
sweep_errors.py      its panel of the MSE against D
sweep_seeds.py       its panels of Question-Formation runs
style.py             font size, colours, units and ticks of figures for print
saving.py            PNG, SVG and PDF of a figure
"""
