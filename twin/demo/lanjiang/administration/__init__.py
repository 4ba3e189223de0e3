"""The city's administration: whose areas, units, tables and cases it has."""
