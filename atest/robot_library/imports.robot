*** Settings ***
Library          runner.py

Test Teardown    Clean Up


*** Test Cases ***
A Connection And Its Keywords Live On In Other Suites And Resource Files
    Run Suite    two_suites
    All Tests Should Have Passed
    There Should Be No Errors

Aliases And Two Boards
    Run Suite    two_aliases.robot
    All Tests Should Have Passed
    There Should Be No Errors

A Dry Run Needs No Hardware And Checks What Is Known
    VAR    @{options}    --dryrun
    Run Suite    call_driver_method.robot    bad_literals.robot    options=${options}
    Test Should Have    Static Keywords Are Known Without Hardware    PASS
    Test Should Have    A Time That Is None    FAIL    'soon' that cannot be converted to timedelta
    Test Should Have    An Argument That Is None    FAIL    expected 0 non-named arguments, got 1

The Same Suite Runs For Real
    Run Suite    call_driver_method.robot
    All Tests Should Have Passed

An Address Is As Good As A Name
    Run Suite    by_host.robot    shell=lab
    All Tests Should Have Passed
    Log Should Contain    By Host    Exporter: host /

Libdoc Needs No Hardware
    ${names}    Run Libdoc    JumpstarterLibrary    list
    Should Contain    ${names}    Connect To Exporter
    Should Contain    ${names}    Call Driver Method
    ${text}    Run Libdoc    JumpstarterLibrary    show    Connect To Exporter
    Should Contain    ${text}    Labels that the exporter must have

Problems Before A Connection Are Told In One Line
    Run Suite    nothing_connected.robot
    Test Should Have    Info Needs An Exporter    FAIL    no exporter is connected; use `Connect To Exporter` first
    Test Should Have    Two Exporters Are One Too Many    FAIL    give one of exporter=, host=
    Test Should Have    A Lease Needs A Controller    FAIL    duration= asks a controller for a lease
    Test Should Have    An Unknown Exporter Is Named    FAIL    lba
    Test Should Have    Nothing Listens There    FAIL    /nonexistent/socket

An Interrupted Run Ends At Once And Disconnects
    ${status}    Interrupt Suite    interrupted.robot    READY
    Should Be True    ${status} > 0
    Test Should Have    Wait For Long    FAIL    Execution terminated by signal
    Test Should Have Taken Less Than    Wait For Long    30
