"""One file or folder a provider, imported only when it is used."""
