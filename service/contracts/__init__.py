"""The shared words as pydantic models; the REST schema is made from them."""
