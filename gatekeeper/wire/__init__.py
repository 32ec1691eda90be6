"""What goes over the wire, without a wire: replies and the texts of verdicts. Bytes in, values out; nothing awaits."""
