"""A package, because pygeoapi installs one of this name, which a folder without this file loses to."""
