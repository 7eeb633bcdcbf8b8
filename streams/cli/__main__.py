"""`python -m streams.cli` is `stoplog`."""

from streams.cli.start import main

main()
