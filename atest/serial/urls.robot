*** Settings ***
Documentation    Serial ports that are no devices: loop://, socket:// and rfc2217://.

Library          JumpstarterLibrary
Library          serial_peers.py

Test Teardown    Run Keywords    Disconnect From Exporter    AND    Clean Up
Test Timeout     3 minutes


*** Test Cases ***
A Loop Says What It Hears
    Connect To Serial Port    loop://
    Serial Write    hello
    ${text} =    Serial Read Until    hello
    Should Be Equal    ${text}    hello
    Serial Write Bytes    \x00\xff
    ${data} =    Serial Read Bytes    quiet=3 s
    Should Be Equal    ${data}    ${{b'\x00\xff'}}

A Socket Has What The Server Says First
    ${url} =    Start Console Server
    Connect To Serial Port    ${url}
    ${text} =    Serial Read Until    \n
    Should Be Equal    ${text}    welcome\n
    Serial Write Line    hello
    ${text} =    Serial Read Until    \n
    Should Be Equal    ${text}    hello\n

A Socket Is Connected Again After The Server Hung Up
    ${url} =    Start Console Server
    Connect To Serial Port    ${url}
    Serial Read Until    welcome\n
    Serial Write Line    bye
    Run Keyword And Expect Error    serial: 'more' was not seen before *    Serial Read Until    more
    ${text} =    Serial Read Until    \n
    Should Be Equal    ${text}    welcome\n

A Console Server That Hangs Up With Text Unread Is Connected Again
    ${url} =    Start Console Server
    Connect To Serial Port    ${url}
    Serial Read Until    welcome\n
    Serial Write Line    Rebooting
    Serial Read Until    Re
    Serial Write Line    bye
    Run Keyword And Expect Error    serial: 'welcome' was not seen before *Read so far:\nbooting*
    ...    Serial Read Until    welcome
    ${text} =    Serial Read Until    welcome
    Should Be Equal    ${text}    booting\nwelcome

A Socket Without A Server Is Told
    ${url} =    Start Console Server
    Clean Up
    Connect To Serial Port    ${url}
    Run Keyword And Expect Error    *connection refused*    Serial Write    hello

A Socket Has No Lines
    ${url} =    Start Console Server
    Connect To Serial Port    ${url}
    Run Keyword And Expect Error    *has no DTR line*    Serial Set Dtr    False

RFC 2217 Carries Data And Settings
    ${url} =    Start Rfc2217 Server
    ${config} =    Serial Exporter    ${url}    baudrate=${57600}
    Connect To Exporter    config=${config}
    Serial Write Line    hello
    ${text} =    Serial Read Until    hello\n
    Should Be Equal    ${text}    hello\n
    Wait Until Keyword Succeeds    60 s    50 ms    Server Port Should Have    57600    True
    Serial Set Dtr    False
    Wait Until Keyword Succeeds    60 s    50 ms    Server Port Should Have    57600    False

RFC 2217 Carries The Bytes That It Escapes
    ${url} =    Start Rfc2217 Server
    Connect To Serial Port    ${url}
    Serial Write Bytes    \x00\xff\xff\x01
    ${data} =    Serial Read Bytes    quiet=3 s
    Should Be Equal    ${data}    ${{b'\x00\xff\xff\x01'}}


*** Keywords ***
Connect To Serial Port
    [Arguments]    ${url}
    ${config} =    Serial Exporter    ${url}
    Connect To Exporter    config=${config}
