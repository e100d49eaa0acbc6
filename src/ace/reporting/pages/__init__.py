"""HTML pages that open offline: one file each, with their scripts, styles and data inside."""
