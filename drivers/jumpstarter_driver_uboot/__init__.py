"""The U-Boot boot loader, driven at its prompt over a power and a serial driver."""
