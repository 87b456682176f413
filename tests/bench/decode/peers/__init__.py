"""One module a library, each imported by that library's own environment alone; see `worker.Contender`."""
