"""Sockets that take mail in, and drive the SMTP and milter protocols."""
