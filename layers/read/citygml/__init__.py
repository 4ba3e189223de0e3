"""CityGML 2.0 and 3.0: members are read one after the other, and their trees freed."""
