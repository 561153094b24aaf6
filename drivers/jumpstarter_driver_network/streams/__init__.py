"""Import path of programs written for stock Jumpstarter; what it has is in `jumpstarter_driver_network.websocket`."""
