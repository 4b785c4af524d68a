"""The packages that execd is measured against, apart from it: an environment of their own under build/."""
