"""Commands for many requests and many samples."""
