*** Settings ***
Library           runner.py

Suite Setup       Run Suite    lab.robot
Suite Teardown    Clean Up


*** Test Cases ***
What Must Pass Passes
    Tests Should Have Passed
    ...    Two Serial Ports Keep Their Names
    ...    Bytes And Silence
    ...    Times Are Written In Words
    ...    A Stream Is Bounded By Count
    ...    The Default Timeout Was Forgotten
    ...    The Exporter Is Fine After Timeouts
    ...    Enums And Dictionaries
    ...    A Shell Command Is A Keyword
    ...    A Name Of BuiltIn Gets A Prefix
    ...    Named Arguments Reach A Method By Its Path
    ...    A Method Without Keyword Is Reached
    ...    Info And Keywords

Failures Say What Happened
    [Template]    Test Should Have
    A Stream Is Bounded By Timeout    FAIL
    ...    Probe Count: 3 items did not come in 3 seconds, 2 items did: [1, 2]
    The Default Timeout Has A Scope    FAIL
    ...    serial0: 'nothing' was not seen in 200 milliseconds.
    Surplus Arguments By Path Are Refused    FAIL
    ...    power.on: too many positional arguments, found 'now', 'please', expected no arguments
    Surplus Arguments Of A Keyword Are Refused    FAIL    expected 0 arguments, got 2
    An Unknown Method Is Named    FAIL    driver 'probe' has no method 'hodl', expected one of count,
    An Unknown Driver Is Named    FAIL    no driver at path 'porbe', expected one of power, serial0,
    A Call After Disconnecting Says What To Do    FAIL
    ...    Power On: no exporter is connected; use `Connect To Exporter` first

Robot's Timeouts Stop Keywords At Once
    [Template]    A Timeout Should Have Stopped
    A Test Timeout Stops A Remote Call At Once
    A Test Timeout Stops Waiting For Text At Once
    A Test Timeout Stops A Stream At Once

Secrets Are Nowhere
    Test Should Have    Secrets Stay Out Of The Log    FAIL    password <secret> is wrong
    Output Should Not Contain    hunter2-from-the-vault

The Log Says Which Exporter Was Chosen
    Log Should Contain    Lab    Exporter: local exporter lab (exporter= names it)

Keywords Are Listed With Their Arguments
    Log Should Contain    Info And Keywords    Probe Hold${SPACE*4}timeout=1 minute


*** Keywords ***
A Timeout Should Have Stopped
    [Arguments]    ${name}
    Test Should Have    ${name}    FAIL    EQUALS:Test timeout 500 milliseconds exceeded.
    Test Should Have Taken Less Than    ${name}    40
