"""Extraction: from chunks of tokens to vectors at sites, shard by shard."""
