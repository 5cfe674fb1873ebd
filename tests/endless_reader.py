"""The process that reads stores for `view`, with a run that takes for ever, and one that takes all memory."""

from opro_local.report.view import child


def read(folder, at):
    """Loop, or ask for more than there is; the folder's name says which."""
    if folder.name == "endless":
        while True:
            pass
    if folder.name == "greedy":
        return {"size": len(bytearray(child.MEMORY))}
    return {"path": str(folder), "at": at}


child.ASKED = {"line": read}
if __name__ == "__main__":
    child.main()
