"""What an extraction says of its sample: why there are fewer chunks, special tokens, sites named twice."""

from __future__ import annotations

from service.contracts.extraction import ExtractionSpec
from workers.flows.extraction.arguments import Sampled
from workers.flows.extraction.notices import notices

SITES = ["blocks.-1.hook_resid_post", "blocks.2.hook_resid_post"]
SPEC = ExtractionSpec(model="tiny", corpus="two-novels", sites=SITES, chunks=80_000)


def told(sample: Sampled) -> dict[str, str]:
    return {notice.code: notice.message for notice in notices(SPEC, sample)}


def test_two_novels_give_two_chunks_and_the_option_that_gives_more_is_named():
    sample = Sampled(chunks=2, rows=2, shards=1, reused=None, documents=2, chunks_there=512)
    assert told(sample) == {
        "fewer_chunks": "80000 chunks were asked for; the corpus gives 2, as chunks_per_document is 1 and 2 documents "
        'are long enough; chunks_per_document: "all" gives 512'
    }


def test_a_corpus_that_has_no_more_names_no_option():
    sample = Sampled(chunks=2, rows=2, shards=1, reused=None, documents=2, chunks_there=2)
    assert told(sample) == {"fewer_chunks": "80000 chunks were asked for; the corpus gives 2"}


def test_special_tokens_and_sites_named_twice_are_told():
    sample = Sampled(chunks=80_000, rows=80_000, shards=9, reused=None, sites=SITES[:1], special_tokens=3)
    found = told(sample)
    assert list(found) == ["special_tokens", "same_site"]
    assert found["special_tokens"].startswith("3 tokens of the chunks are special tokens")
    assert found["same_site"].startswith("blocks.2.hook_resid_post name sites")


def test_nothing_is_told_of_a_plain_sample():
    assert told(Sampled(chunks=80_000, rows=80_000, shards=9, reused=None, sites=SITES)) == {}
