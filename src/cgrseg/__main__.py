"""`python -m cgrseg` is `cgrseg`; torchrun starts training this way."""

from cgrseg.cli import main

main()
