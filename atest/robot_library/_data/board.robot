*** Settings ***
Library           JumpstarterLibrary

Suite Setup       Connect To Exporter    config=${EXPORTERS}/board.yaml
Suite Teardown    Disconnect From Exporter
Test Teardown     Power Off


*** Test Cases ***
Boot And Log In
    Power On
    ${text}    Serial Read Until    login:    timeout=60 s
    Should Contain    ${text}    boot complete
    Serial Write Line    root
    Read Serial Until    [#$] $    timeout=60 s    regex=True
    Serial Write Line    uname -r
    ${text}    Serial Read Until    \n
    Should Contain    ${text}    uname -r
    Power Off

Read Power As Records
    Power On
    ${readings}    Power Read
    Should Be True    $readings[0].voltage > 0
    Power Off

Missing Text Is A Failure With The Text Read So Far
    Power On
    Serial Read Until    boot complete    timeout=60 s
    Serial Read Until    never said    timeout=3 s

A Failed Read Takes Nothing
    Power On
    Serial Read Until    boot complete    timeout=60 s
    Serial Read Until    login:    timeout=60 s
    Serial Write Line    nobody
    Run Keyword And Expect Error    board.serial: 'never said' was not seen in 300 milliseconds.*
    ...    Serial Read Until    never said    timeout=0.3 s
    ${text}    Serial Read Until    nobody
    Should Contain    ${text}    nobody

Storage Round Trip
    VAR    ${file}    ${OUTPUT DIR}${/}card.img
    Storage Host
    Storage Read Local File    ${file}
    File Should Not Be Empty    ${file}
    Write Storage Local File    ${file}
    Storage Dut

Unread Console Is Logged On Failure
    Power On
    Serial Read Until    boot complete    timeout=60 s
    Serial Write Line    nobody was here
    Sleep    3 s    A console has no event that says that it will be silent
    Fail    On purpose


*** Keywords ***
File Should Not Be Empty
    [Arguments]    ${path}
    ${size}    Evaluate    os.path.getsize($path)    modules=os
    Should Be True    ${size} > 0
