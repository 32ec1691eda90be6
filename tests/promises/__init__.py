"""The promises of the gate, each with a figure: what must hold however a mailing comes."""
