*** Settings ***
Library    JumpstarterLibrary


*** Test Cases ***
A Time That Is None
    Set Jumpstarter Timeout    soon

An Argument That Is None
    Connect To Exporter    exportr=lab
