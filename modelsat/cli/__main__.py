"""``python -m modelsat.cli``: the console script, for where it is not on the path."""

from modelsat.cli.main import main

if __name__ == "__main__":
    main()
