"""Names that programs written for stock Jumpstarter import from here; they are those of `jumpstarter.common.stubs`."""

from .stubs import AsyncChannel, ControllerStub, ExporterStub, RouterStub

__all__ = ["AsyncChannel", "ControllerStub", "ExporterStub", "RouterStub"]
