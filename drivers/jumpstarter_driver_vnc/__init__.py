"""A screen over VNC, for a browser."""
