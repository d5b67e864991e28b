"""Metadata: one module per noun, over one `Catalog`. All SQL is here; `service.jobs` uses SQLAlchemy only
for connections, URLs and events."""
