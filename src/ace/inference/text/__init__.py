"""Text to tokens: chat templates and token counts."""
