"""Reading documents, cutting them into chunks of tokens, and drawing a seeded sample.

sources.py        the documents of a registered corpus, and their count
folders.py        which files of a folder are text
documents.py      documents, and the decoding of their bytes
compression.py    files compressed by gzip, Zstandard or xz
text_files.py     .txt: a file, its paragraphs, or its parts between separators
spgc_files.py     token files of the Standardized Project Gutenberg Corpus
jsonl_files.py    JSON Lines
json_files.py     .json
records.py        the text of a JSON object or a record
parquet_files.py  Parquet
arrow_files.py    Arrow, as `datasets.save_to_disk` writes it
text_columns.py   the column of an Arrow table that holds the text
hub_datasets.py   Hugging Face data sets
tokenising.py     texts → tokens, in pieces of bounded memory
sampling.py       chunks, and a seeded sample of them
"""
