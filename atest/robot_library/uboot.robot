*** Settings ***
Library           runner.py

Suite Setup       Run Suite    uboot.robot
Suite Teardown    Clean Up


*** Test Cases ***
The Prompt Is Entered By One Keyword And Left By Another
    Tests Should Have Passed    Commands At The Prompt    The Console Comes Back    The Prompt That Is There Is Taken
    Log Should Contain    Commands At The Prompt    U-Boot

What The Console Says Is In The Log
    Log Should Contain    Commands At The Prompt    Hit any key to stop autoboot
    Log Should Contain    Commands At The Prompt    setenv greeting

Keywords Say Who Has The Console
    Test Should Have
    ...    The Console Is Held
    ...    FAIL
    ...    EQUALS:board.serial: the console is not available, uboot has it at U-Boot's prompt
    Test Should Have    The Prompt Is Not Held    FAIL    U-Boot is not at its prompt
