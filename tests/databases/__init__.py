"""Both databases that everything about jobs and the catalog is tried on, fresh and migrated for every test."""
