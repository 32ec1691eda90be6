"""Run the program as `python -m gatekeeper`, where no command `gatekeeper` is installed."""

from gatekeeper.cli import main

if __name__ == "__main__":
    main(prog_name="gatekeeper")
