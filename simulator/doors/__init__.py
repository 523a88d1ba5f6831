"""Doors: how readers that nobody here wrote meet the virtual cards and the virtual chip.

One card, four ways to it: in process, by UDP (nfcpy), through a chip on a pseudo-terminal (nfcpy, libnfc), through PC/SC.
"""
