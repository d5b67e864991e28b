"""What the text of a corpus and the names of a spec come to: special tokens, one chunk of each book, one site twice."""

from __future__ import annotations

import pytest

from service.client import Finished
from tests.end_to_end.conftest import ANALYSIS, Running
from tests.tiny import english

END = "<|endoftext|>"
SITES = ["blocks.-1.hook_resid_post", "blocks.2.hook_resid_post", "final_norm_out", "blocks.1.hook_resid_post"]


def warnings(done: Finished) -> dict[str, str]:
    return {notice.code: notice.message for notice in done.job.warnings}


@pytest.mark.long
def test_two_books_give_two_rows_and_the_warning_names_the_option_and_the_special_tokens(service: Running):
    folder = service.settings.corpora_root / "two-books"
    folder.mkdir()
    pages = [page[:400] for page in english(4)]
    for name, chosen in (("a.txt", pages[:2]), ("b.txt", pages[2:])):
        (folder / name).write_text(END.join(chosen))
    (folder / "._a.txt").write_bytes(b"\x00\xff")
    service.client.register_corpus(path="two-books", name="two-books")
    divided = service.client.register_corpus(path="two-books", name="divided", document_separator=END)
    assert (divided.documents, divided.hidden_files) == (4, 1)
    spec = ANALYSIS | {"corpus": "two-books", "chunks": 10_000, "chunks_per_document": 1, "sites": ["final_norm_out"]}

    said = warnings(service.run("extraction", spec))
    assert "as chunks_per_document is 1 and 2 documents are long enough" in said["fewer_chunks"]
    every = service.run("extraction", spec | {"chunks_per_document": "all"})
    count = service.client.activations(every.activations[0]).n
    assert said["fewer_chunks"].endswith(f'chunks_per_document: "all" gives {count}')
    assert warnings(every)["fewer_chunks"] == f"10000 chunks were asked for; the corpus gives {count}"
    assert warnings(every)["special_tokens"].startswith("2 tokens of the chunks are special tokens")


@pytest.mark.long
def test_two_names_of_one_site_give_one_set_of_it(service: Running):
    done = service.run("analysis", ANALYSIS | {"sites": SITES, "chunks": 50, "radius": {"fractions": [1.0]}})
    assert [result.site for result in done.job.results if result.type == "activations"] == [
        "blocks.-1.hook_resid_post",
        "final_norm_out",
        "blocks.1.hook_resid_post",
    ]
    assert len(done.reports) == 3
    assert done.job.progress.done == done.job.progress.total == 50 * (1 + 3)
    assert "blocks.2.hook_resid_post name sites that are named otherwise too" in warnings(done)["same_site"]
