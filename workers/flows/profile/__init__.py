"""The profile of an analysis: what the radius reports of its sites say, over depth.

arguments.py  the segment's arguments and result
report.py     segment: profile and figure, published
fields.py     one site of the profile, from its radius report
"""
