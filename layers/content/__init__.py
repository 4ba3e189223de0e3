"""Layers whose content is files: rasters and tilesets are recorded, their files kept in the city's folder."""
