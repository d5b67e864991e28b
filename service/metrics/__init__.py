"""The metrics of `/metrics`, in the format of Prometheus.

service.py   the registry, and its text
requests.py  measured by this process: requests, queries, statements of the database
stored.py    read from the database: jobs, work, workers
disk.py      bytes of the data directory's folders
"""
