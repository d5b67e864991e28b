"""Metadata: one module per noun, over one `Catalog`. All SQL is here; `service.jobs` and `settings` use SQLAlchemy only
for connections, URLs and events."""
