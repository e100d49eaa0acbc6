"""One file or folder a provider. Each is imported only when it is asked for."""
