*** Settings ***
Documentation     What an exporter says is text, and its keywords take nobody's place.

Library           runner.py

Suite Setup       Run Suite    hostile.robot
Suite Teardown    Clean Up


*** Test Cases ***
A Driver's Name Is No HTML In The Log
    Test Should Have    A Failure That Begins With The Driver's Name    FAIL
    ...    Text: *HTML* <script>alert(1)</script>: 'never' was not seen
    Test Should Have    A Method That Is Missing    FAIL    driver '*HTML* <script>alert(1)</script>' has no method
    No Message Should Be Html

Keywords Of Standard Libraries Are Not Taken Over
    Tests Should Have Passed    Standard Libraries Keep Their Keywords    User Keywords Stay The Suite's Own
    Log Should Contain    Hostile    'Run Process' is a keyword of a standard library
    There Should Be No Errors
