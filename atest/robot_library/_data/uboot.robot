*** Settings ***
Library          JumpstarterLibrary

Suite Setup      Connect To Exporter    exporter=uboot
Test Teardown    Uboot Leave Console


*** Test Cases ***
Commands At The Prompt
    Uboot Reboot To Console
    ${version}    Uboot Run Command    version    timeout=60 s
    Should Contain    ${version}    U-Boot
    Uboot Set Env    greeting    hello
    ${greeting}    Get Uboot Env    greeting
    Should Be Equal    ${greeting}    hello

The Console Comes Back
    Uboot Reboot To Console
    Uboot Leave Console
    Board Serial Write Line    printenv bootdelay
    Board Serial Read Until    bootdelay\=

The Console Is Held
    Uboot Reboot To Console
    Board Serial Read

The Prompt That Is There Is Taken
    Uboot Reboot To Console
    Uboot Leave Console
    Uboot Take Console
    ${said}    Uboot Run Command    echo taken over
    Should Contain    ${said}    taken over

The Prompt Is Not Held
    Uboot Run Command    version
