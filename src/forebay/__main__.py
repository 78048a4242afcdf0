"""`python -m forebay` is `forebay`."""

from forebay.app.cli import main

if __name__ == "__main__":
    main()
