"""Everything of Radius that needs no accelerator: contracts, theory, jobs, catalog, artifacts, REST, command line."""

__version__ = "0.2.0"
