"""CityJSON documents and sequences on their way to rows (``layers.read.formats.cityjson``)."""
