"""Extraction: from chunks of tokens to vectors at sites, and to their losses, shard by shard."""
