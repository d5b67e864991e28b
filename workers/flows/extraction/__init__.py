"""An extraction job: chunks of a corpus → activation sets, one per site.

job.py        the workflow: sample, extract every shard, publish
arguments.py  the segments' arguments and results
notices.py    warnings for the reader of its results
note.py       the note beside the staged chunks
sample.py     segment: corpus → chunks on disk, one file per shard
shards.py     segment: chunks of one shard → its vectors at every site
publish.py    segment: all shards → published activation sets
reuse.py      when a finished set is the one that a job would compute
models.py     the model that an extraction names
"""
