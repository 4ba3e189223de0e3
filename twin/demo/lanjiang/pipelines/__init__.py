"""Pipelines of the generated city: where they lie, how deep, and what surveys say of them."""
