"""CQL2 filters (OGC 21-065r2): text or JSON → a checked, typed expression."""
