"""Scripts for Debian's miltertest, a milter client that is none of ours."""
