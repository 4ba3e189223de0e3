"""Static tiles of a city: a folder of 3D tiles, an archive of vector tiles, and proof that they are whole."""
