"""Triangle bodies of features: extruded footprints, tubes and stored surfaces."""
