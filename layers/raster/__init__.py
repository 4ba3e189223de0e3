"""Rasters: coverages and surfaces whose content is files that rasterio reads. It is imported at need only:
GDAL costs a server that has no raster neither memory nor time."""
