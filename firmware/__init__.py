"""The validator: one program for a microcontroller, a desk and a simulation. Its root is the device's root."""
