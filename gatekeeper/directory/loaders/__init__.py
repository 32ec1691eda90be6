"""Reads who is who from CSV, alias and list files, LDAP and SQL, and publishes snapshots."""
