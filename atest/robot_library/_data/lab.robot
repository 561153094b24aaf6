*** Settings ***
Library        JumpstarterLibrary

Suite Setup    Connect To Exporter    exporter=lab


*** Variables ***
${PASSWORD: Secret}    %{LAB_PASSWORD=hunter2-from-the-vault}


*** Test Cases ***
Two Serial Ports Keep Their Names
    Serial0 Write    zero\n
    Serial1 Write Line    one
    ${zero}    Serial0 Read Until    \n
    ${one}    Read Serial1 Until    \n
    Should Be Equal    ${zero}${one}    zero\none\n

Bytes And Silence
    Serial0 Write Bytes    \xff\x00\x03
    ${data}    Serial0 Read Bytes    quiet=3 s    timeout=60 s
    Should Be Equal    ${data}    ${{b'\xff\x00\x03'}}

Times Are Written In Words
    ${result}    Probe Hold    100 ms
    Should Be Equal    ${result}    held

A Stream Is Bounded By Count
    ${items}    Probe Count    count=2
    Should Be Equal    ${items}    ${{[1, 2]}}
    ${ended}    Probe Counting Ended    60 s
    Should Be True    ${ended}

A Stream Is Bounded By Timeout
    Probe Count    count=3    timeout=3 s

The Default Timeout Has A Scope
    ${before}    Set Jumpstarter Timeout    200 ms    scope=TEST
    Should Be Equal    ${before}    30 seconds
    Serial0 Read Until    nothing

The Default Timeout Was Forgotten
    ${before}    Set Jumpstarter Timeout    20 s    scope=TEST
    Should Be Equal    ${before}    30 seconds

A Test Timeout Stops A Remote Call At Once
    [Timeout]    0.5 s
    Probe Hold    1 min

A Test Timeout Stops Waiting For Text At Once
    [Timeout]    0.5 s
    Serial1 Read Until    nothing    timeout=1 min

A Test Timeout Stops A Stream At Once
    [Timeout]    0.5 s
    Probe Count    count=3    timeout=1 min

The Exporter Is Fine After Timeouts
    Power On
    Power Cycle    0 s
    Power Off

Secrets Stay Out Of The Log
    Probe Login    ${PASSWORD}

Enums And Dictionaries
    VAR    &{labels}    a=b
    ${painted}    Probe Paint    green    ${labels}
    Should Be Equal    ${painted}    green {'a': 'b'}

A Shell Command Is A Keyword
    ${out}    ${err}    ${status}    Shell Greet    world    GREETING=hello
    Should Be Equal    ${out}    hello world\n
    Should Be Equal    ${{($err, $status)}}    ${{('', 0)}}

A Name Of BuiltIn Gets A Prefix
    ${text}    Driver Log Many
    Should Be Equal    ${text}    from the journal

Named Arguments Reach A Method By Its Path
    ${result}    Call Driver Method    shell    greet    world    GREETING=hello
    Should Be Equal    ${result}[0]    hello world\n
    ${items}    Call Driver Method    probe    count    count=2
    Should Be Equal    ${items}    ${{[1, 2]}}

Surplus Arguments By Path Are Refused
    Call Driver Method    power    on    now    please

Surplus Arguments Of A Keyword Are Refused
    Power On    now    please

A Method Without Keyword Is Reached
    ${text}    Call Driver Method    probe    secret_service
    Should Be Equal    ${text}    reached without keyword
    ${text}    Call Driver Method    probe    hold    50 ms
    Should Be Equal    ${text}    held

An Unknown Method Is Named
    Call Driver Method    probe    hodl

An Unknown Driver Is Named
    Call Driver Method    porbe    hold

Info And Keywords
    ${info}    Get Exporter Info
    Should Be Equal    ${info.drivers}[power]    PowerClient
    ${names}    List Driver Keywords
    Should Contain    ${names}    Power On
    Should Not Contain    ${names}    Read Power

A Call After Disconnecting Says What To Do
    Disconnect From Exporter
    Disconnect From Exporter
    Power On
