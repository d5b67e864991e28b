"""The resident query worker: one process per host that answers single queries, outside the job queue.

server.py     HTTP on a Unix socket
answering.py  a query → its answer
resident.py   the sets that were queried last: rows in memory, index cache, distribution of distances
embedding.py  texts → vectors, by the model and at the site that the set was extracted with
"""
