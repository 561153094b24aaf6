"""A router in a process of its own."""

from __future__ import annotations

import socket

from .world import World


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_streams_go_through_a_router_in_another_process(own_world: World) -> None:
    world = own_world
    world.processes[0].end()
    endpoint = f"localhost:{free_port()}"
    settings = {"router": {"listen": "", "others": {"second": {"endpoint": endpoint}}}}
    config = world.home / "controller.yaml"
    world.start_controller(settings, router_listen=None)
    assert endpoint in config.read_text()
    data = world.home / "state" / "jumpstarter" / "controller"
    router = world.start(
        "jmp", "router", "run", "--data-dir", str(data), "--listen", f"127.0.0.1:{endpoint.split(':')[1]}"
    )
    router.until("The router listens")
    world.add_exporter("board", "kind=board")
    world.run_exporter("board")
    assert world.ok("shell", "-l", "kind=board", "--", "j", "power", "on") == "ok\n"
    assert router.end() == 143
    done = world.jmp("shell", "-l", "kind=board", "--retry-timeout", "0", "--", "j", "power", "on")
    assert done.code == 1
    assert "cannot be reached" in done.err


def test_router_without_key_or_certificate_says_what_it_needs(own_world: World) -> None:
    world = own_world
    done = world.jmp("router", "run")
    assert done.code == 2
    assert "Give --data-dir, or all of --key-file, --tls-cert and --tls-key" in done.err
    done = world.jmp("router", "run", "--data-dir", "/nonexistent")
    assert done.code == 1
    assert "/nonexistent" in done.err
