"""`python -m execd` is `execd`."""

from execd.cli import main

if __name__ == "__main__":
    main()
