*** Settings ***
Library          runner.py

Test Teardown    Clean Up


*** Test Cases ***
The Documents' Device Boot Test Runs As Printed In A Shell
    Run Suite    device_boot_test.robot    shell=board
    All Tests Should Have Passed
    Log Should Contain    Device Boot Test    boot complete
    Log Should Contain    Device Boot Test    surrounding jmp shell
    Log Should Contain    Device Boot Test    selector vendor=acme,model=widget-v2 is not checked
    There Should Be No Errors

The Selector Is Checked Against The Shell's Labels
    Run Suite    device_boot_test.robot    shell=board    JMP_EXPORTER_LABELS=vendor=acme,model=widget-v1
    Test Should Have    Device Boot Test    FAIL    does not select the surrounding jmp shell's exporter

A Selector That No Local Exporter Has Is Not Guessed From
    Run Suite    device_boot_test.robot
    Test Should Have    Device Boot Test    FAIL
    ...    selector vendor=acme,model=widget-v2: no local exporter has these labels

Keywords Of A Board
    Run Suite    board.robot
    Test Should Have    Boot And Log In    PASS
    Log Should Contain    Boot And Log In    boot complete
    Test Should Have    Read Power As Records    PASS
    Log Should Contain    Read Power As Records    voltage
    Test Should Have    A Failed Read Takes Nothing    PASS
    Test Should Have    Storage Round Trip    PASS

A Failure Says What Was Read
    Run Suite    board.robot
    Test Should Have    Missing Text Is A Failure With The Text Read So Far    FAIL
    ...    board.serial: 'never said' was not seen in 3 seconds. Read so far:
    Test Should Have    Missing Text Is A Failure With The Text Read So Far    FAIL    login:

Console Text That Nobody Read Is In The Log Of A Failed Test
    Run Suite    board.robot
    Test Should Have    Unread Console Is Logged On Failure    FAIL    EQUALS:On purpose
    Log Should Contain    Unread Console Is Logged On Failure    board.serial said, and no keyword has read:
    Log Should Contain    Unread Console Is Logged On Failure    nobody was here
