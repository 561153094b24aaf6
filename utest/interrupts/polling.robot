*** Settings ***
Documentation     Keywords that time out at random moments, and a board that works all the same.

Library           JumpstarterLibrary

Suite Setup       Connect To Exporter    selector=kind=board
Suite Teardown    Disconnect From Exporter


*** Variables ***
${COUNT}    50


*** Test Cases ***
Keywords Time Out
    [Timeout]    10 minutes
    VAR    ${timeouts} =    ${0}
    WHILE    ${timeouts} < ${COUNT}    limit=NONE
        ${number} =    Evaluate    random.randrange(6)
        ${time} =    Evaluate    random.uniform(2, 60)
        TRY
            Do Something    ${number}    ${time} ms
        EXCEPT    Keyword timeout * exceeded.    type=GLOB
            ${timeouts} =    Evaluate    ${timeouts} + 1
        END
    END
    Log    ${timeouts} time-outs

The Board Works
    Power On
    Serial Write    hello
    Serial Read Until    hello
    Power Off
    Connect To Exporter    config=${CURDIR}/second.yaml    alias=second
    Second Power On
    Disconnect From Exporter    second
    ${threads} =    Evaluate    threading.active_count()
    Should Be True    ${threads} < 40    ${threads} threads


*** Keywords ***
Do Something
    [Arguments]    ${number}    ${time}
    [Timeout]    ${time}
    IF    ${number} == 0
        Poll The Supply
    ELSE IF    ${number} == 1
        Poll The Console
    ELSE IF    ${number} == 2
        Serial Read Until    this never comes    timeout=5 s
    ELSE IF    ${number} == 3
        Poll The Storage
    ELSE IF    ${number} == 4
        Switch The Board
    ELSE
        Open And Close Another Connection
    END

Poll The Supply
    WHILE    True    limit=NONE
        Power Read    count=1
    END

Poll The Console
    WHILE    True    limit=NONE
        Serial Write    x
        Serial Read Until    x
    END

Poll The Storage
    WHILE    True    limit=NONE
        Storage Flash    ${CURDIR}/polling.robot
    END

Switch The Board
    WHILE    True    limit=NONE
        Call Driver Method    power    on
        Power Off
    END

Open And Close Another Connection
    WHILE    True    limit=NONE
        Connect To Exporter    config=${CURDIR}/second.yaml    alias=second
        Second Power On
        Second Serial Write    x
        Disconnect From Exporter    second
    END
