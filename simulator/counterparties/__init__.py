"""The parties that a fare system must live with. They behave badly on demand, behind their true interface."""
