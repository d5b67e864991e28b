"""Backup of a service while jobs run, and its restoration.

A backup has one state of the database and at least the files that this state names: files of the data directory are
copied, then the database is read at one moment, then what is new is copied, until every file that the state names is
there with its SHA-256. So a published product is in it whole, and a running job continues from its last recorded
segment.

listing.py   the list of a backup's files, and its contract
copying.py   copies of the data directory's files with their SHA-256
making.py    `radius backup`
restoring.py `radius restore`
"""
