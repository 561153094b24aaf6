*** Settings ***
Documentation     Peers of every kind, through an exporter and its port forwards.

Library           Process
Library           JumpstarterLibrary
Library           network_peers.py

Suite Setup       Connect To An Exporter Of Peers
Suite Teardown    Disconnect And Clean Up
Test Timeout      3 minutes


*** Test Cases ***
A TCP Peer Answers Through A TCP Port And Through A Unix Socket
    ${address} =    Open Tcp Tcp Forward
    ${answer} =    Ask To The End    ${address}    hello
    Should Be Equal    ${answer}    ${{b'hellobye'}}
    ${path} =    Open Tcp Unix Forward
    ${answer} =    Ask To The End    ${path}    hello
    Should Be Equal    ${answer}    ${{b'hellobye'}}
    [Teardown]    Run Keywords    Close Tcp Tcp Forward    AND    Close Tcp Unix Forward

Much Data Arrives Whole
    ${data} =    Evaluate    os.urandom(8 << 20)
    ${address} =    Open Tcp Tcp Forward
    ${answer} =    Ask To The End    ${address}    ${data}
    Should Be True    $answer == $data + b'bye'
    [Teardown]    Close Tcp Tcp Forward

Connections Do Not Mix
    ${address} =    Open Tcp Tcp Forward
    Ask At The Same Time    ${address}    30
    [Teardown]    Close Tcp Tcp Forward

A Program Fetches From A Web Server
    ${host}    ${port} =    Open Web Tcp Forward
    ${done} =    Run Process    curl    -sS    --fail    --max-time    20    http://${host}:${port}/page.txt
    Should Be Equal As Integers    ${done.rc}    0    ${done.stderr}
    Should Be Equal    ${done.stdout}    a page of the board
    Close Web Tcp Forward
    ${done} =    Run Process    curl    -sS    --fail    --max-time    20    http://${host}:${port}/page.txt
    # 7 is curl's code for a connection that was refused.
    Should Be Equal As Integers    ${done.rc}    7

A UDP Peer Answers Datagrams
    ${address} =    Open Udp Tcp Forward
    ${answer} =    Ask    ${address}    ping    6
    Should Be Equal    ${answer}    ${{b'[ping]'}}
    [Teardown]    Close Udp Tcp Forward

A Unix Peer Answers
    ${path} =    Open Local Unix Forward
    ${answer} =    Ask To The End    ${path}    hello
    Should Be Equal    ${answer}    ${{b'hellobye'}}
    [Teardown]    Close Local Unix Forward

A WebSocket Peer Answers Messages
    ${address} =    Open Websocket Tcp Forward
    ${answer} =    Ask    ${address}    hello    13
    Should Be Equal    ${answer}    ${{b'welcome hello'}}
    [Teardown]    Close Websocket Tcp Forward

An Echo Needs No Peer
    ${address} =    Open Echo Tcp Forward
    ${answer} =    Ask    ${address}    \x00\xff    2
    Should Be Equal    ${answer}    ${{b'\x00\xff'}}
    [Teardown]    Close Echo Tcp Forward

Addresses Are Told
    ${tcp} =    Tcp Address
    Should Match Regexp    ${tcp}    ^tcp://127\\.0\\.0\\.1:\\d+$
    ${udp} =    Udp Address
    Should Match Regexp    ${udp}    ^udp://127\\.0\\.0\\.1:\\d+$
    ${websocket} =    Websocket Address
    Should Match Regexp    ${websocket}    ^ws://127\\.0\\.0\\.1:\\d+$
    ${parts} =    Evaluate    urllib.parse.urlsplit($tcp)    modules=urllib.parse
    ${answer} =    Ask To The End    ${{[$parts.hostname, $parts.port]}}    direct
    Should Be Equal    ${answer}    ${{b'directbye'}}

An Address That Is Kept Or Is None Is An Error
    Run Keyword And Expect Error    *enable_address: false    Hidden Address
    Run Keyword And Expect Error    *address*    Local Address
    Run Keyword And Expect Error    *address*    Echo Address

A Peer That Is Not There Ends The Connection
    ${address} =    Open Nobody Tcp Forward
    Run Keyword And Expect Error    *reset*    Ask    ${address}    hello    1
    [Teardown]    Close Nobody Tcp Forward

A Forward Has The Port That Was Asked For
    ${port} =    Free Port
    ${address} =    Open Tcp Tcp Forward    port=${port}
    Should Be Equal    ${address}    ${{('127.0.0.1', $port)}}
    ${answer} =    Ask To The End    ${address}    again
    Should Be Equal    ${answer}    ${{b'againbye'}}
    Run Keyword And Expect Error    *cannot listen on 127.0.0.1:${port}: address already in use*
    ...    Open Web Tcp Forward    port=${port}
    [Teardown]    Close Tcp Tcp Forward

Opening And Closing Twice Are As Good As Once
    Close Tcp Tcp Forward
    ${first} =    Open Tcp Tcp Forward
    ${second} =    Tcp Open Tcp Forward
    Should Be Equal    ${first}    ${second}
    ${third} =    Call Driver Method    tcp    open_tcp_forward
    Should Be Equal    ${first}    ${third}
    Close Tcp Tcp Forward
    Tcp Close Tcp Forward

Disconnecting Closes What Is Open
    ${config} =    Peers Exporter
    ${address} =    Open Tcp Tcp Forward
    ${path} =    Open Tcp Unix Forward
    Connect To Exporter    config=${config}
    Run Keyword And Expect Error    *refused*    Ask    ${address}    hello    1
    Run Keyword And Expect Error    *No such file*    Ask    ${path}    hello    1


*** Keywords ***
Connect To An Exporter Of Peers
    ${config} =    Start Peers
    Connect To Exporter    config=${config}

Disconnect And Clean Up
    Disconnect From Exporter
    Clean Up
