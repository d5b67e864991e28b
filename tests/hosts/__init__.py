"""Several hosts with one database and one data folder, which network namespaces stand for, and cables that are cut.

Tried by `make soak`; left out where namespaces cannot be made.
"""
