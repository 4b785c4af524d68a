"""No bytes from outside can crash a decoder: targets, a corpus, and what looks for more."""
