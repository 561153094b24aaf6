*** Settings ***
Library    JumpstarterLibrary    AS    dut


*** Test Cases ***
Connect Under An Alias
    Connect To Exporter    exporter=lab
    Power On
    dut.Power Off
    Set Jumpstarter Timeout    7 s
