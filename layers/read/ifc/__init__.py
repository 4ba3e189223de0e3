"""What an IFC file says, asked of ifcopenshell: its place, its structure, its properties and its bodies."""
