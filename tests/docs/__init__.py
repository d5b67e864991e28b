"""The documents: generated reference pages, the picture of the README, and tests that what they say is true.

pages.py           the generated pages (`make docs` writes them)
command_pages.py   that of the command line
field_tables.py    tables of fields: specs, reports, settings
rest_page.py       that of the REST interface
picture.py         the picture of a report for the README
"""
