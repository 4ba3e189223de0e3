"""Pictures of rasters: tiles and windows of coverages and surfaces, drawn by rio-tiler.

``service`` and ``style`` import neither it nor rasterio; the others are imported at the first picture."""
