"""Models as files: names to folders, sizes, LoRA adapters."""
