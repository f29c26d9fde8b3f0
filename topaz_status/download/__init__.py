"""Downloads the result of a finished job: the file is complete, or it is not there."""
