"""``python -m twin`` is ``twin``."""

from twin.cli import main

# a process of the pool imports this module, too
if __name__ == "__main__":
    main()
