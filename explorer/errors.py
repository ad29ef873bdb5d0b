"""The one error a user is meant to read."""


class UserError(Exception):
    """A problem the user can mend: what is wrong, where, and the next step.

    The command line prints it without a traceback and exits with 1; a page shows it in place of its content.

    Parameters
    ----------
    what : str
        What is wrong, naming the file and the row where there is one.
    fix : str
        The next step, as an instruction.
    """

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(f"{what}\nFix: {fix}")
        self.what = what
        self.fix = fix
