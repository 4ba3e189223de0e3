"""Layers turned into tiles: pure functions on numpy, and files that can always be made again."""
