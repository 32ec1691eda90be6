"""The compliance report and its forms."""
