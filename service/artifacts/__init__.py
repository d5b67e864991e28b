"""Atomic, checksummed files: safetensors shards and a JSON manifest, written aside, fsynced, then renamed."""
