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
        EXCEPT    *this never comes*    type=GLOB
            Evaluate    $hits.add("Robot: " + $operation, "SIGALRM that had no effect")
        END
        Have Robot Start Timers
    END
    Log To Console    \n${hits}

The Board Works After All
    The Board Works


*** Keywords ***
Have Robot Start Timers
    [Documentation]    Mends what a time-out leaves in Robot 7.5 that comes as a keyword ends: it counts a timer
    ...    that is over, and starts none any more. What comes as Python runs a finalizer has no effect either.
    [Timeout]    1 minute
    # One runs now: that of Evaluate.
    Evaluate    setattr(importlib.import_module("robot.running.timeouts.posix").PosixRunner, "_started", 1)

Do
    [Arguments]    ${operation}    ${time}
    [Timeout]    ${time}
    Run Keyword    ${operation}
