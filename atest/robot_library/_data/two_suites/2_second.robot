*** Settings ***
Library    JumpstarterLibrary    AS    dut


*** Test Cases ***
The Connection Is Still There
    dut.Power On
    Power Off
    ${before}    Set Jumpstarter Timeout    8 s
    Should Be Equal    ${before}    30 seconds
