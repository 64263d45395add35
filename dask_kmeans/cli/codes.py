"""What the process exits with, besides 128 + the number of a signal that stopped it."""

DONE, FAILED, WRONG_USAGE, UNCONVERGED = 0, 1, 2, 3
