"""OGC SensorThings API 1.1 (18-088), the subset that the root document declares."""
