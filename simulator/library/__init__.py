"""The simulator for somebody's own tests: a clearing service, buses, riders' media. What of it is stable, `LIBRARY.md` says."""
