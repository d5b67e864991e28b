"""A first analysis through the client, with the demo's model: `make demo`, `make up`, then run this file."""

from service.client import Client

with Client() as client:  # RADIUS_URL and RADIUS_API_KEY, or this machine's port 8000
    done = client.submit("analysis", {"preset": "smoke/f1", "chunks": 100}).wait()
    for report_id in done.reports:
        report = client.radius(report_id)
        print(report)
        for row in report.rows():
            print(f"{row['fraction']:.0%}: {row['n']} rows, mean nn_distance {row['nn_distance_mean']:.3f}")
    answer = client.query(done.activations[0], texts=["A list is a mutable sequence."], k=1)
    print(answer.results[0].neighbors[0].text)
