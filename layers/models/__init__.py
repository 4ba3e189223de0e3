"""Models in versions: checked in beside a layer, compared element by element, held against what is there."""
