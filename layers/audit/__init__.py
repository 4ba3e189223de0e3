"""The audit of a city: a chain of entries, each with the hash of the one before. See :mod:`.chain`."""
