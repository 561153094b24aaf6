*** Settings ***
Documentation    The example of the guide: a board with these labels powers on and boots.
...
...              Run it inside of ``jmp shell``, or with one local exporter whose labels match.

Library          JumpstarterLibrary


*** Test Cases ***
Device Boot Test
    Connect To Exporter    selector=vendor=acme,model=widget-v2
    Power On
    ${output}=    Read Serial Until    boot complete
    Should Not Be Empty    ${output}
    Power Off
