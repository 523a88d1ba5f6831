// No names of this port's own.
