"""What is wrong in the dirty edition, subject by subject."""
