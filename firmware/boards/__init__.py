"""The boards: the only place where hardware, files, sockets and crypto libraries are touched."""
