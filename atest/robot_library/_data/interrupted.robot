*** Settings ***
Library        JumpstarterLibrary

Suite Setup    Connect To Exporter    exporter=lab


*** Test Cases ***
Wait For Long
    Log To Console    READY
    Probe Hold    1 min
