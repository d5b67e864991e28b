"""One log format for all processes: the API, the workers, the supervisor, and the libraries that they use.

setup.py     what a process calls at its start
lines.py     a record as a line of text or of JSON
repeats.py   a limit on equal lines
files.py     a log file that is renamed when it has grown, standard output and standard error included
requests.py  an id and a line for each HTTP request
"""
