"""Names that programs written for stock Jumpstarter import from here; they are those of `..websocket`."""

from jumpstarter_driver_network.websocket import WebsocketClientStream

__all__ = ["WebsocketClientStream"]
