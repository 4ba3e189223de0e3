"""Mapbox Vector Tiles 2.1 from columns."""
