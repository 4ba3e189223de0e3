"""3D Tiles that somebody else made (OGC 22-025r4, OGC 18-053r2): looked at from the root to the contents."""
