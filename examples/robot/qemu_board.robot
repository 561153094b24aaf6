*** Settings ***
Documentation     A tour of an emulated aarch64 board: U-Boot at its prompt, and Linux by TFTP.
...
...               Run it inside of ``jmp shell --exporter-config examples/exporters/qemu-aarch64.yaml``, or give the
...               file with ``--variable CONFIG:examples/exporters/qemu-aarch64.yaml``, or lease a board of a lab with
...               ``--variable SELECTOR:board=qemu``. The tests with the tag *linux* need the files of
...               ``scripts/board/get-debian-arm64``.

Resource          console.resource

Suite Setup       Connect To Exporter    config=${CONFIG}    selector=${SELECTOR}
Suite Teardown    Disconnect From Exporter
Test Teardown     Power Off
Test Timeout      3 minutes


*** Variables ***
${CONFIG}      ${None}
${SELECTOR}    ${None}
${BOOTARGS}    console=ttyAMA0 quiet panic=-1


*** Test Cases ***
U-Boot Tells Its Version
    [Documentation]    Power on, stop the countdown, and ask U-Boot who it is.
    Stop At The Boot Prompt
    ${version}=    Run At The Boot Prompt    version
    Should Match Regexp    ${version}    U-Boot \\d{4}\\.\\d{2}

U-Boot Keeps Variables
    [Documentation]    Variables can be set, read and used.
    Stop At The Boot Prompt
    Run At The Boot Prompt    setenv greeting hello from U-Boot
    ${greeting}=    Run At The Boot Prompt    printenv greeting
    Should Contain    ${greeting}    greeting=hello from U-Boot
    ${failed}=    Run At The Boot Prompt    printenv no_such_variable
    Should Contain    ${failed}    not defined

U-Boot Gets An Address
    [Documentation]    The board's network works: DHCP gives it an address.
    Stop At The Boot Prompt
    Run At The Boot Prompt    setenv autoload no
    ${answer}=    Run At The Boot Prompt    dhcp    timeout=60 s
    Should Contain    ${answer}    DHCP client bound to address 10.0.2.

Linux Boots Over The Network
    [Documentation]    Fetch a kernel by TFTP, boot it, log in, and ask it for its version.
    [Tags]    linux
    Stop At The Boot Prompt
    Fetch And Start Linux
    Log In
    ${kernel}=    Should Succeed In The Shell    uname -r
    Should Match Regexp    ${kernel}    \\d+\\.\\d+\\.\\d+
    ${machine}=    Should Succeed In The Shell    uname -m
    Should Contain    ${machine}    aarch64
    Set Test Message    Kernel ${{ $kernel.splitlines()[1] }}


*** Keywords ***
Fetch And Start Linux
    [Documentation]    From the boot prompt: DHCP, kernel and initramfs by TFTP, booti.
    Run At The Boot Prompt    setenv autoload no
    Run At The Boot Prompt    dhcp    timeout=60 s
    Run At The Boot Prompt    setenv serverip 10.0.2.2; setenv tftpblocksize 1468
    ${kernel}=    Run At The Boot Prompt    tftpboot \${kernel_addr_r} Image    timeout=120 s
    Should Contain    ${kernel}    Bytes transferred
    ${initrd}=    Run At The Boot Prompt    tftpboot \${ramdisk_addr_r} initrd.gz    timeout=60 s
    Should Contain    ${initrd}    Bytes transferred
    Run At The Boot Prompt    setenv bootargs ${BOOTARGS}
    Serial Write Line    booti \${kernel_addr_r} \${ramdisk_addr_r}:\${filesize} \${fdtcontroladdr}
