"""How long a tap takes, in a declared model: real conversations, firmware counted on an emulated Cortex-M4."""
