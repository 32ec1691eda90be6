"""Records: searched, and handed over."""
