"""A board emulated by QEMU: power, flasher, serial console, screen and network."""
