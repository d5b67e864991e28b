"""Metadata: one module of SQL per noun, over one `Catalog`. The only room that imports SQLAlchemy."""
