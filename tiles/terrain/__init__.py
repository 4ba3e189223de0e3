"""Terrain: the heights of a city's surfaces, as ground that bodies stand on and as tiles that clients draw.

rasterio is imported only where a height is read: a city without a surface pays nothing for it."""
