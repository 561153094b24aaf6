*** Settings ***
Documentation     A tour of a board: its power, boot prompt, Linux and storage.
...
...               The board is the one of the surrounding ``jmp shell``, else the built-in simulated board;
...               ``--variable CONFIG:file.yaml`` names another, and ``--variable SELECTOR:board=simulated`` leases one
...               from the lab whose client you are.

Library           OperatingSystem
Library           Process
Resource          console.resource

Suite Setup       Connect To Exporter    config=${CONFIG}    selector=${SELECTOR}
Suite Teardown    Disconnect From Exporter
Test Teardown     Power Off
Test Timeout      2 minutes


*** Variables ***
${CONFIG}      ${None}
${SELECTOR}    ${None}
${PYTHON}      python3


*** Test Cases ***
Supply Follows The Board
    [Documentation]    A board that is on draws current; one that is off draws none.
    Power Off
    ${off}=    Power Read
    Should Be Equal As Numbers    ${off[0].current}    0
    Stop At The Boot Prompt
    ${on}=    Power Read
    Should Be True    4.5 < $on[0].voltage < 5.5
    Should Be True    $on[0].current > 0.1

Boot Prompt Runs Commands
    [Documentation]    Version, variables and network at the boot prompt.
    Stop At The Boot Prompt
    ${version}=    Run At The Boot Prompt    version
    Should Contain    ${version}    U-Boot
    Run At The Boot Prompt    setenv greeting hello from the boot prompt
    ${greeting}=    Run At The Boot Prompt    printenv greeting
    Should Contain    ${greeting}    greeting=hello from the boot prompt
    ${address}=    Run At The Boot Prompt    dhcp
    Should Contain    ${address}    DHCP client bound to address

Boot Prompt Boots Linux
    [Documentation]    The command boot goes on where the prompt has stopped the board.
    Stop At The Boot Prompt
    Serial Write Line    boot
    # To its last word: nothing is left that the next test could take for its own.
    ${log}=    Serial Read Until    ${LOGIN PROMPT}    timeout=30 s
    Should Contain    ${log}    Linux version
    Should Contain    ${log}    boot complete

Linux Tells Its Version
    [Documentation]    Boot, log in, and ask the kernel and the system who they are.
    Power On
    Log In
    ${kernel}=    Should Succeed In The Shell    uname -r
    Should Match Regexp    ${kernel}    \\d+\\.\\d+\\.\\d+
    ${release}=    Should Succeed In The Shell    cat /etc/os-release
    Should Contain    ${release}    VERSION_ID\=

Linux Reports A Failing Command
    [Documentation]    The exit status of a command comes over the console.
    Power On
    Log In
    Run In The Shell    false
    ${status}=    Run In The Shell    echo status=$?
    Should Contain    ${status}    status=1

Linux Powers Off
    [Documentation]    Linux shuts down by itself.
    Power On
    Log In
    Serial Write Line    poweroff
    Serial Read Until    reboot: Power down    timeout=30 s

Flashed Image Decides What Boots
    [Documentation]    Flash another version, and find it after the next boot.
    [Tags]    storage
    ${image}=    Make An Image    2.0
    Storage Flash    ${image}
    Power On
    Log In
    ${release}=    Should Succeed In The Shell    cat /etc/os-release
    Should Contain    ${release}    VERSION_ID\=2.0
    [Teardown]    Put The First Image Back

Erased Storage Does Not Boot
    [Documentation]    Without anything to boot the board ends at its boot prompt.
    [Tags]    storage
    VAR    ${image}=    ${OUTPUT DIR}${/}zeros.img
    Create Binary File    ${image}    ${{bytes(65536)}}
    Storage Flash    ${image}
    Power On
    Serial Read Until    No bootable device    timeout=30 s
    Serial Read Until    ${BOOT PROMPT}
    [Teardown]    Put The First Image Back

Board Sees No Storage At The Host
    [Documentation]    A card that is connected to the host is not in the board.
    [Tags]    storage
    Storage Host
    Power On
    Serial Read Until    no card present    timeout=30 s
    Serial Read Until    ${BOOT PROMPT}
    [Teardown]    Run Keywords    Power Off    AND    Storage Dut


*** Keywords ***
Make An Image
    [Documentation]    Make an image of the given version, and return its path.
    [Arguments]    ${version}
    VAR    ${path}=    ${OUTPUT DIR}${/}board-${version}.img
    ${result}=    Run Process
    ...    ${PYTHON}    -m    jumpstarter_driver_simulated.image    ${path}    --version    ${version}
    Should Be Equal As Integers    ${result.rc}    0    ${result.stderr}
    RETURN    ${path}

Put The First Image Back
    [Documentation]    Switch the board off and give it the image that it came with.
    Power Off
    ${image}=    Make An Image    1.0
    Storage Flash    ${image}
