*** Settings ***
Library           Process
Library           JumpstarterLibrary

Suite Setup       Connect To Exporter    config=${EXPORTERS}/hostile.yaml
Suite Teardown    Disconnect From Exporter


*** Variables ***
${DRIVER}    *HTML* <script>alert(1)</script>


*** Test Cases ***
A Failure That Begins With The Driver's Name
    Call Driver Method    ${DRIVER}    read_until    never    timeout=0 s

A Method That Is Missing
    Call Driver Method    ${DRIVER}    no_method

Standard Libraries Keep Their Keywords
    ${result}    Run Process    echo    here
    Should Be Equal    ${result.stdout}    here
    ${text}    Driver Run Process    there
    Should Be Equal    ${text}    the exporter has got there

User Keywords Stay The Suite's Own
    ${text}    HTML Script Alert 1 Script Read    my own
    Should Be Equal    ${text}    my own


*** Keywords ***
HTML Script Alert 1 Script Read
    [Arguments]    ${text}
    RETURN    ${text}
