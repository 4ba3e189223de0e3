"""One module a file format: what it declares (``FORMATS``) and how it is read; ``layers.read.registry`` finds
them."""
