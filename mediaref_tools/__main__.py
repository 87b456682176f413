"""`python -m mediaref_tools`: the command line, for where the script is not on the path."""

from mediaref_tools.commands import main

if __name__ == "__main__":
    main()
