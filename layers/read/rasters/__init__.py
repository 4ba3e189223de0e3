"""Rasters in the guarded child: what they are is looked at, and written as a COG where that is wanted. All
modules here load the GDAL of rasterio, of which a reader switches off the other drivers first."""
