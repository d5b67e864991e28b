"""The commands of `radius`; `service/cli.py` declares them.

administration.py  `radius db`, `keys` and `health`
theory.py          `radius theory …`
demo.py            `radius demo`
reproduce.py       `radius reproduce`
verdicts.py        what is printed of a reproduction
own_service.py     a service for as long as a command runs
doctor.py          `radius doctor`
backups.py         `radius backup` and `restore`
guesses.py         what was meant by a wrong command or id
jobs.py            `radius events`, `logs`, `delete`, `open`
listings.py        `radius corpora`, `models`, `presets`, `sets`
options.py         options that several commands share
reports.py         `radius report`: what is read and printed of each kind of product
specs.py           `radius submit KIND --help-spec`
output.py          tables, progress bars and JSON that several commands print
profile.py         the table of a profile
radius.py          the tables and lines of a radius report
statistics.py      those of its statistics
energies.py        what is printed of an energy report and of a query
descent.py         the tables of blocks as a search
estimates.py       what is printed of an estimate
sweeps.py          what is printed of a sweep: Table 3
training.py        what is printed of a training run
metrics.py         event files for TensorBoard
sites.py           the sites of a model
reading.py         files that commands read
"""
