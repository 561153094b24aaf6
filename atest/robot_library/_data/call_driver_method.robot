*** Settings ***
Library        JumpstarterLibrary

Suite Setup    Connect To Exporter    exporter=lab


*** Test Cases ***
Static Keywords Are Known Without Hardware
    Call Driver Method    power    on
    Set Jumpstarter Timeout    10 s
