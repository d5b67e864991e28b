"""REST: one thin router per noun; limits and problem+json at the edge.

about.py             presets, models, limits and health
activations.py       `/v1/activations`
corpora.py           `/v1/corpora`
energy.py            `/v1/energy`
jobs.py              `/v1/jobs`
operations.py        `/metrics` and `/v1/workers`
profiles.py          `/v1/profiles`
queries.py           `/v1/activations/{id}/query`, and the drawn Fig. 1
radius.py            `/v1/radius`
reproductions.py     `/v1/reproductions`
sites.py             `/v1/sites`
sweeps.py            `/v1/sweeps`
theory.py            `/v1/theory`
training.py          `/v1/training`

services.py          the objects that the routers use
guards.py            middleware: API keys, host names, requests of other sites
proxies.py           middleware: requests that come through a reverse proxy
audit.py             middleware: a log line for every request that changes something
response_headers.py  middleware: security and cache headers of every response
authorisation.py     the scope that each route needs, and the project that it sees
problems.py          errors as `application/problem+json`
bodies.py            routes that check media types, and a full disk during an upload
body_limits.py       limits on JSON bodies while they arrive
json_reading.py      strict JSON
parameters.py        refusal of unknown query parameters
conditional.py       answers to HEAD and to conditional GET
uploads.py           multipart forms, written to disk while they arrive
evaluations.py       slots for evaluations and large bodies: threads and processes
evaluating.py        the work of such a process
query_proxy.py       client of the resident query worker
event_feed.py        one poller of events for all streams
event_stream.py      a job's events as server-sent events
files.py             files of published folders, with ETags
figures.py           figures of published reports
readiness.py         whether jobs can be accepted and run
"""
