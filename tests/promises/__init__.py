"""The promises of DESIGN 1, each with a figure: what must hold however a mailing comes."""
