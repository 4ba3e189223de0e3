"""Meshes of other programs (``layers.read.formats.meshes``): each format as things of triangles, which are
repaired, placed and handed on alike."""
