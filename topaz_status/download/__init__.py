"""From a finished job to its file: fetched in parts, complete or not there."""
