"""Fields of the pages, and the settings made of them."""
