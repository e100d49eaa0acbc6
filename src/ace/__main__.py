"""`python -m ace`: the command `ace`, by this very Python."""

from ace.cli.main import main

if __name__ == "__main__":
    main()
