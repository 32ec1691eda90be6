"""In tests nothing changes what is immutable: imported before the classes that it is about are made."""

from gatekeeper.lib import immutable

immutable.FROZEN = True
