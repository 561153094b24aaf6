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
        ${number} =    Evaluate    random.randrange(4)
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
    ELSE
        Storage Flash    ${CURDIR}/polling.robot
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
