"""Tests, in rooms that mirror the code's; `house` guards the promises of the whole."""
