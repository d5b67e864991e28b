"""The Python client: `Client` and, with `await` before each call, `AsyncClient`.

with Client() as client:                              # RADIUS_URL, RADIUS_API_KEY
    job = client.submit("analysis", {"preset": "small/f1"}).wait()
    report = client.radius(job.reports[0])
    vectors = client.vectors(report.activations)      # (n, d_model) numpy array

clients.py       `Client`, `AsyncClient`, `Handle` and `SubmittedJob`
asynchronous.py  every call of `AsyncClient` but the submission of a job
blocking.py      the same calls of `Client`, generated from asynchronous.py
calls.py         what each call sends, and how its answer is read
connection.py    the URL, proxies, and trying again while the service is away
arrays.py        vectors as they are sent
notebook.py      reports and progress as a notebook shows them
outcome.py       the end of a job that a client waited for
"""

from service.client.clients import AsyncClient, Client, Handle, SubmittedJob
from service.client.outcome import Finished, JobFailed

__all__ = ["AsyncClient", "Client", "Finished", "Handle", "JobFailed", "SubmittedJob"]
