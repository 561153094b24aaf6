*** Settings ***
Documentation     Keywords that time out at random moments, and a board that works all the same.

Resource          polling.resource

Suite Setup       Connect To Exporter    selector=kind=board
Suite Teardown    Disconnect From Exporter


*** Variables ***
${COUNT}    50


*** Test Cases ***
Keywords Time Out
    ${hits} =    Evaluate    importlib.import_module('utest.interrupts.moments').Hits()
    WHILE    ${hits.total} < ${COUNT}    limit=NONE
        ${operation} =    Evaluate    random.choice($OPERATIONS)
        ${time} =    Evaluate    random.uniform(2, 60)
        TRY
            Do    ${operation}    ${time} ms
        EXCEPT    Keyword timeout * exceeded.    type=GLOB
            Evaluate    $hits.add("Robot: " + $operation, "SIGALRM")
        END
    END
    Log To Console    \n${hits}

The Board Works After All
    The Board Works


*** Keywords ***
Do
    [Arguments]    ${operation}    ${time}
    [Timeout]    ${time}
    Run Keyword    ${operation}
