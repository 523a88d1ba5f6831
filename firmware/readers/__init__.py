"""Readers: each turns a chip's bytes into media that a validator can talk to."""
