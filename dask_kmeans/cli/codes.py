"""What the process exits with, besides 128 + the number of a signal that stopped it."""

DONE, FAILED, WRONG_USAGE, UNCONVERGED = 0, 1, 2, 3


class Stopped(BaseException):
    """A signal asked the command to end. No Exception, so that nobody on the way up swallows it."""

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number
        self.kept = ""
        """What is left to go on from, for the message."""
