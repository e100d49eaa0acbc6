"""The command `ace`: thin Typer commands over the other rooms, one file a command group."""
