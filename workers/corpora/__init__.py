"""Reading documents, cutting them into chunks of tokens, and drawing a seeded sample."""
