"""The profile of an analysis: values of its sites' radius reports, over depth.

arguments.py  the segment's arguments and result
report.py     segment: profile and figure, published
fields.py     one site of the profile, from its radius report
"""
