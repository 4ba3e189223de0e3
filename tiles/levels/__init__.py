"""Far views: groups of features by the cells of a quadtree, counted, merged and drawn."""
