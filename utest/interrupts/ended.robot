*** Settings ***
Documentation     A run that ends when it is interrupted, and gives its lease back.

Resource          polling.resource

Suite Setup       Connect To Exporter    selector=kind=board
Suite Teardown    Disconnect From Exporter


*** Test Cases ***
Work Without An End
    [Tags]    endless
    ${operation} =    Evaluate    random.choice($OPERATIONS)
    Run Keyword    ${operation}

Work
    [Tags]    whole
    The Board Works
