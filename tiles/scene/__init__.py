"""3D Tiles 1.1: placement, the tree, binary glTF and its metadata."""
