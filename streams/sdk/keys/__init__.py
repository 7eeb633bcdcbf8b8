"""Keys in files and in key services, and what is sealed with them."""
