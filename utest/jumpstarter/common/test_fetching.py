from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from jumpstarter.common.fetching import FetchPolicy


@pytest.mark.parametrize(
    ("host", "address", "allowed"),
    [
        ("example.com", "93.184.216.34", True),
        ("images.lan", "10.1.2.3", True),
        ("192.168.1.1", "192.168.1.1", True),
        ("host6", "2001:db8::1", True),
        ("localhost", "127.0.0.1", False),
        ("127.1", "127.0.0.1", False),
        ("rebound.example", "127.0.0.53", False),
        ("x", "::1", False),
        ("x", "::ffff:127.0.0.1", False),
        ("x", "0.0.0.0", False),
        ("x", "::", False),
        ("metadata", "169.254.169.254", False),
        ("x", "fe80::1%eth0", False),
        ("x", "224.0.0.1", False),
    ],
)
def test_by_default_the_network_is_allowed_and_the_exporters_own_machine_is_not(
    host: str, address: str, allowed: bool
) -> None:
    assert FetchPolicy().allows(host, address) is allowed
    assert FetchPolicy(("*",)).allows(host, address)
    assert not FetchPolicy(()).allows(host, address)


def test_what_is_listed_is_allowed_and_nothing_else() -> None:
    policy = FetchPolicy(("images.example.com", "*.lab", "10.0.0.0/8", "127.0.0.1", "2001:db8::/32"))
    for host, address in (
        ("IMAGES.example.com", "1.2.3.4"),
        ("a.lab", "127.0.0.2"),
        ("x", "10.255.0.1"),
        ("localhost", "127.0.0.1"),
        ("y", "2001:db8:1::1"),
    ):
        assert policy.allows(host, address), host
    for host, address in (
        ("example.com", "1.2.3.4"),
        ("lab", "1.1.1.1"),
        ("x", "11.0.0.1"),
        ("z", "127.0.0.2"),
    ):
        assert not policy.allows(host, address), host
    assert FetchPolicy(("network", "127.0.0.1")).allows("localhost", "127.0.0.1")


def test_behind_a_proxy_the_name_decides() -> None:
    assert FetchPolicy().allows_name("example.com")
    assert not FetchPolicy().allows_name("localhost")
    assert not FetchPolicy(("a.example",)).allows_name("b.example")


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "0x7f000001", "0x7f.1", "2130706433", "0177.0.0.1", "127.0.0.1.", "0"),
        *("::1", "::ffff:127.0.0.1", "LOCALHOST", "localhost.", "a.localhost.", "169.254.169.254"),
    ],
)
def test_behind_a_proxy_no_other_form_leads_to_the_exporters_own_machine(host: str) -> None:
    assert not FetchPolicy().allows_name(host)
    assert FetchPolicy(("*",)).allows_name(host)


OWN_ADDRESS = """
import http.server, sys, threading
from jumpstarter.common.exceptions import DriverError
from jumpstarter.common.fetching import FetchPolicy
from jumpstarter.common.presigned import open_get
from jumpstarter.common.resources import PresignedRequestResource

server = http.server.ThreadingHTTPServer(("0.0.0.0", 0), http.server.SimpleHTTPRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://10.99.0.1:{server.server_address[1]}/"
request = PresignedRequestResource(headers={}, url=url, method="GET")
for allowed in (("network",), ("10.99.0.0/16",)):
    try:
        with open_get(request, 10, FetchPolicy(allowed)) as body:
            print("fetched", len(body.read(10)))
    except DriverError as error:
        print(error)
"""


def test_no_address_of_the_exporters_own_machine_is_of_the_network(tmp_path: Path) -> None:
    address = "ip link set lo up && ip address add 10.99.0.1/32 dev lo"
    inside = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c"]
    if subprocess.run([*inside, address], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs a network namespace of its own")
    command = f"{address} && exec {sys.executable} -c '{OWN_ADDRESS}'"
    done = subprocess.run(
        [*inside, command], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    refused, fetched = done.stdout.splitlines()
    assert "does not connect to 10.99.0.1 for clients" in refused
    assert fetched == "fetched 10"


@pytest.mark.parametrize("entry", ["", "http://example.com", "example.com/images", "10.0.0.0/99"])
def test_what_is_no_host_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="is no host: expected"):
        FetchPolicy((entry,))
