"""Images that bodies of a source name: decoded in the guarded child, kept as atlases of neighbours."""
