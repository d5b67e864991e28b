"""What `/metrics` shows, in the format of Prometheus.

service.py   the registry, and its text
requests.py  what this process measures: requests, queries, statements of the database
stored.py    read from the database: jobs, work, workers
disk.py      bytes of the data directory's folders
"""
