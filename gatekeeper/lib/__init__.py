"""Small tools that know nothing of mail."""
