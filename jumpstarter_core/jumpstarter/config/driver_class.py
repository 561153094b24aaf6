"""Finds the class that a driver's ``type`` names, and says why when there is none."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import inspect

from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.suggestions import did_you_mean, nearest
from jumpstarter.config.driver_advice import advice_on_class, advice_on_package, how_to_install

ENTRY_POINT_GROUP = "jumpstarter.drivers"

COMPOSITE = "jumpstarter_driver_composite.driver.Composite"
PROXY = "jumpstarter_driver_composite.driver.Proxy"

_ANY = "; install it, or see 'jmp driver list' for what is installed"


def driver_class(path: str) -> type:
    """Import the driver class *path*, such as ``jumpstarter_driver_power.driver.MockPower``.

    Raises ConfigurationError that tells apart: no dotted path, module not installed, module that needs a
    package which is not installed, module that fails, class misspelt, no driver class, abstract class.
    """
    module_name, _, class_name = path.rpartition(".")
    if not module_name or not all(part.isidentifier() for part in path.split(".")):
        raise ConfigurationError(
            f"found text '{path}'; expected a class path such as '{COMPOSITE}'{_nearest_installed(path)}"
        )
    module = _import(module_name, path)
    cls = getattr(module, class_name, None)
    if cls is None:
        names = [name for name, value in vars(module).items() if is_driver_class(value)]
        raise ConfigurationError(
            f"module '{module_name}' has no class '{class_name}'; expected a driver class"
            f"{advice_on_class(path) or did_you_mean(class_name, names) or _listing(names)}"
        )
    if not isinstance(cls, type) or not is_driver_class(cls):
        raise ConfigurationError(
            f"'{path}' is not a driver; expected a subclass of jumpstarter.driver.Driver"
        )
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))
        raise ConfigurationError(
            f"'{path}' is abstract, it lacks {missing}; expected a complete driver class"
        )
    return cls


def is_driver_class(value: object) -> bool:
    """Whether *value* is a class with what a session needs; the base class is a floor above."""
    return isinstance(value, type) and all(hasattr(value, name) for name in ("client", "enumerate", "close"))


def installed_drivers() -> dict[str, str]:
    """Class path of each driver that an installed package announces, by its name."""
    points = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)
    return {point.name: point.value.replace(":", ".") for point in points}


def _import(module_name: str, path: str) -> object:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        name = error.name or module_name
        if module_name == name or module_name.startswith(f"{name}."):
            raise ConfigurationError(_not_installed(name, path)) from None
        raise ConfigurationError(
            f"module '{module_name}' needs the package '{name}', which is not installed; "
            f"{how_to_install(name, module_name)}"
        ) from None
    except ConfigurationError as error:
        raise ConfigurationError(f"module '{module_name}' cannot be used: {one_line(error)}") from None
    except Exception as error:  # noqa: BLE001 - a module of anyone's may raise anything
        raise ConfigurationError(
            f"module '{module_name}' cannot be imported: {type(error).__name__}: {one_line(error)}"
        ) from None


def _not_installed(missing: str, path: str) -> str:
    package, _, module = missing.rpartition(".")
    what = (
        f"package '{package}' has no module '{module}'"
        if package
        else f"package '{missing}' is not installed"
    )
    nearest_one, advice = _nearest_installed(path), advice_on_package(missing)
    # A class of the very name is what is meant; another that is like it is not, when the package has a name of its own.
    meant = path.rpartition(".")[2] in installed_drivers()
    hint = (nearest_one if meant else advice) or nearest_one or _ANY
    return f"{what}; expected the class path of an installed driver{hint}"


def _nearest_installed(path: str) -> str:
    """Judged by the class name: package names are too much alike."""
    drivers = installed_drivers()
    match = nearest(path.rpartition(".")[2], drivers)
    return f"; did you mean '{drivers[match]}'?" if match is not None else ""


def _listing(names: list[str]) -> str:
    return f"; it has {', '.join(sorted(names))}" if names else ""


def one_line(error: BaseException) -> str:
    """What *error* says, in one line; its class where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
