"""`python -m gatekeeper`, where the program itself is not installed."""

from gatekeeper.cli import main

if __name__ == "__main__":
    main(prog_name="gatekeeper")
