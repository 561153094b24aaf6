*** Settings ***
Documentation    A console on a pseudo terminal, with a board at its far end.

Library          JumpstarterLibrary    timeout=60 s
Library          serial_peers.py

Test Setup       Connect To A Board
Test Teardown    Disconnect And Clean Up
Test Timeout     3 minutes


*** Test Cases ***
A Dialogue With A Board
    [Setup]    Connect To A Board With A Script
    Log In To The Board
    Serial Write Line    uname -r
    ${answer} =    Serial Read Until    board#${SPACE}
    Should Be Equal    ${answer}    6.1.0-board\r\nboard#${SPACE}
    Serial Write Line    nonsense    newline=\r\n
    ${answer} =    Serial Read Until    board#${SPACE}
    Should Contain    ${answer}    sh: not found

Control Sequences Are In The Text As They Came
    [Setup]    Connect To A Board With A Script
    Serial Write Line    reset
    ${text} =    Serial Read Until    ^=>${SPACE}    regex=True
    Should Contain    ${text}    \x1b[1;32mU-Boot 2024.01\x1b[0m\r\n

A Regular Expression Matches At Lines
    Board Says    no version: 1.2\nversion: 3.14\nrest
    ${text} =    Serial Read Until    ^version: (\\d+)\\.\\d+$    regex=True
    Should Be Equal    ${text}    no version: 1.2\nversion: 3.14
    ${rest} =    Serial Read Until    rest
    Should Be Equal    ${rest}    \nrest

A Regular Expression Matches At Lines However They End
    Board Says    BOOT DONE\r\nnext\r\n
    Serial Read Until    ^BOOT DONE$    regex=True
    Serial Read Until    ^next$    regex=True
    Board Says    one\rtwo\rthree
    Serial Read Until    ^two$    regex=True

Text With Colours In It Is Found
    Board Says    [ \x1b[0;32mOK\x1b[0m ] Started \x1b[1mGetty\x1b[0m\r\n
    ${text} =    Serial Read Until    [ OK ] Started Getty    strip=True
    Should Be Equal    ${text}    [ OK ] Started Getty
    Board Says    [ \x1b[0;31mFAILED\x1b[0m ]
    Run Keyword And Expect Error    *control sequences in between ('\\x1b[[]0m', '\\x1b[[]0;31m')*
    ...    Serial Read Until    [ FAILED ]    controls=True    timeout=100 ms

The First Of Several Texts Ends Waiting
    Board Says    no panic, login:
    VAR    @{wanted} =    login:    panic
    ${text} =    Serial Read Until    ${wanted}
    Should Be Equal    ${text}    no panic

A Pattern That Is None Is Told
    Run Keyword And Expect Error    *'(oops' is not a regular expression: *
    ...    Serial Read Until    (oops    regex=True
    Run Keyword And Expect Error    *expected is empty*    Serial Read Until    ${EMPTY}

What Comes Between Keywords Is Kept
    Board Says    one two${SPACE}
    Serial Read Until    one
    Board Says    three four
    Board Says Bytes    \x00\xff
    Board Says    five
    ${text} =    Serial Read Until    three
    Should Be Equal    ${text}    ${SPACE}two three
    ${data} =    Serial Read Bytes    quiet=3 s
    Should Be Equal    ${data}    ${{b' four\x00\xfffive'}}

A Text That Does Not Come Fails With What Was Read
    Board Says    Kernel panic - not syncing
    Serial Read Until    Kernel
    Run Keyword And Expect Error
    ...    serial: 'login:' was not seen in 3 seconds. Read so far:\n${SPACE}panic - not syncing
    ...    Serial Read Until    login:    timeout=3 s
    ${text} =    Serial Read Until    syncing
    Should Be Equal    ${text}    ${SPACE}panic - not syncing
    Run Keyword And Expect Error
    ...    serial: text matching 'x{3}' was not seen in 100 milliseconds. Nothing was read.
    ...    Serial Read Until    x{3}    regex=True    timeout=100 ms

The Default Timeout Is Kept To
    Set Jumpstarter Timeout    200 ms    scope=TEST
    Run Keyword And Expect Error    *'login:' was not seen in 200 milliseconds*    Serial Read Until    login:

Much Text Arrives Whole
    [Documentation]    More than a terminal holds: the console is read while the board still says it.
    ${long} =    Evaluate    ''.join(f'line {number} of the flood\\n' for number in range(20000))
    Serial Read
    Board Says    ${long}end of flood
    ${text} =    Serial Read Until    end of flood
    Should Be Equal    ${text}    ${long}end of flood

The Board Hears What Is Written
    Serial Write    no line end
    Board Should Hear    no line end
    Serial Write Line    unix
    Board Should Hear    unix\n
    Serial Write Line    dos    newline=\r\n
    Board Should Hear    dos\r\n
    Serial Write Line
    Board Should Hear    \n

The Board Hears Bytes
    Serial Write    grün    encoding=latin-1
    Board Should Hear    gr\xfcn
    Serial Write Bytes    \x03\x00\xff\x11\x13
    Board Should Hear    \x03\x00\xff\x11\x13

Text Has An Encoding
    Board Says    grün
    ${text} =    Serial Read Until    grün
    Should Be Equal    ${text}    grün
    Board Says Bytes    gr\xfcn
    ${text} =    Serial Read Until    grün    encoding=latin-1
    Should Be Equal    ${text}    grün

A Port That Another Program Has Is Told
    [Setup]    No Operation
    ${port} =    Start Board
    Lock Port    ${port}
    ${config} =    Serial Exporter    ${port}
    Connect To Exporter    config=${config}
    Run Keyword And Expect Error    *cannot open serial port ${port}: another program has locked it*
    ...    Serial Read Until    login:

A Port That Two Exporters Want Is Had By The First
    Board Says    hello
    Serial Read Until    hello
    ${port} =    Board Port
    ${config} =    Serial Exporter    ${port}
    Connect To Exporter    config=${config}    alias=second
    Run Keyword And Expect Error    *cannot open serial port ${port}: another program has*
    ...    Second Serial Write    mine
    Board Says    still here
    Serial Read Until    still here
    [Teardown]    Run Keywords    Disconnect From Exporter    second    AND    Disconnect And Clean Up

A Port That Goes Away Fails What Waits For It
    Board Says    last words
    Serial Read Until    last
    Unplug Board
    # Who begins to wait when the end is known already waits for the port to come back.
    Run Keyword And Expect Error    REGEXP:(?s)serial: 'login:' was not seen (before|in) .*Read so far:\n words
    ...    Serial Read Until    login:    timeout=5 s

A Port That Comes Back Is Used Again
    [Documentation]    The name of the port stays, as udev's links do. What begins later opens it again.
    [Setup]    No Operation
    ${link} =    Link To A New Board
    Connect To Serial Port    ${link}
    Board Says    first life
    Serial Read Until    first life
    Unplug Board
    Run Keyword And Expect Error    REGEXP:(?s).*(was not seen before |ttyBoard: it does not exist).*
    ...    Serial Read Until    login:
    Link To A New Board    ${link}
    Serial Read
    Board Says    second life
    Serial Read Until    second life

A Port That Comes Later Is Waited For
    [Setup]    No Operation
    ${link} =    Missing Board
    ${config} =    Serial Exporter    ${link}    check_existing=${False}
    Connect To Exporter    config=${config}
    Board Comes Up And Says    ${link}    login:
    Serial Read Until    login:

A Port That Does Not Exist Is Told When Connecting
    ${config} =    Serial Exporter    /dev/ttyNowhere
    Run Keyword And Expect Error    *serial port /dev/ttyNowhere does not exist*
    ...    Connect To Exporter    config=${config}

A Port May Be Missing When The Configuration Says So
    ${config} =    Serial Exporter    /dev/ttyNowhere    check_existing=${False}
    Connect To Exporter    config=${config}
    Run Keyword And Expect Error    *cannot open serial port /dev/ttyNowhere: it does not exist*
    ...    Serial Write    hello


*** Keywords ***
Log In To The Board
    Serial Write Line
    Serial Read Until    login:${SPACE}
    Serial Write Line    root
    Serial Read Until    Password:${SPACE}
    Serial Write Line    secret
    Serial Read Until    board#${SPACE}

Connect To A Board
    ${port} =    Start Board
    Connect To Serial Port    ${port}

Connect To A Board With A Script
    ${port} =    Start Board With A Script
    Connect To Serial Port    ${port}

Connect To Serial Port
    [Arguments]    ${port}
    ${config} =    Serial Exporter    ${port}
    Connect To Exporter    config=${config}
    # Opens the console: what a board says to a port that nobody has open is lost.
    Serial Read

Disconnect And Clean Up
    Disconnect From Exporter
    Clean Up
