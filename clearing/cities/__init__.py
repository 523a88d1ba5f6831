"""City packages: one folder of declarative files for each city."""
