*** Settings ***
Documentation     The exporter's D-Bus, as the bus of programs that Robot starts.

Library           Process
Library           JumpstarterLibrary
Library           network_peers.py

Suite Setup       Connect To An Exporter With A Bus
Suite Teardown    Disconnect And Clean Up
Test Timeout      3 minutes


*** Variables ***
@{GET ID}    dbus-send    --session    --print-reply\=literal    --reply-timeout\=20000
...          --dest\=org.freedesktop.DBus    /    org.freedesktop.DBus.GetId


*** Test Cases ***
Programs Find The Exporter's Bus
    ${real} =    Run Process    @{GET ID}
    Should Match Regexp    ${real.stdout}    ^\\s+[0-9a-f]{32}$
    Open Bus Environment
    ${forwarded} =    Run Process    @{GET ID}
    Should Be Equal As Integers    ${forwarded.rc}    0    ${forwarded.stderr}
    Should Be Equal    ${forwarded.stdout}    ${real.stdout}
    [Teardown]    Close Bus Environment

The Environment Is Put Back
    ${before} =    Get Bus Address
    ${address} =    Open Bus Environment
    Should Start With    ${address}    tcp:host\=127.0.0.1,port\=
    ${now} =    Get Bus Address
    Should Be Equal    ${now}    ${address}
    Close Bus Environment
    ${after} =    Get Bus Address
    Should Be Equal    ${after}    ${before}

A Bus Has A Forward Like Any Peer
    ${host}    ${port} =    Open Bus Tcp Forward
    ${done} =    Run Process    @{GET ID}    env:DBUS_SESSION_BUS_ADDRESS=tcp:host=${host},port=${port}
    Should Be Equal As Integers    ${done.rc}    0    ${done.stderr}
    [Teardown]    Close Bus Tcp Forward


*** Keywords ***
Connect To An Exporter With A Bus
    ${config} =    Start Bus
    Connect To Exporter    config=${config}

Get Bus Address
    ${address} =    Evaluate    os.environ['DBUS_SESSION_BUS_ADDRESS']
    RETURN    ${address}

Disconnect And Clean Up
    Disconnect From Exporter
    Clean Up
