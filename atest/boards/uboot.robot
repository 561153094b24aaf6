*** Settings ***
Documentation     Debian's U-Boot on an emulated aarch64 board, at its prompt by one keyword.

Resource          console.resource

Suite Setup       Reboot To The Prompt
Suite Teardown    Disconnect And Clean Up
Test Timeout      3 minutes

Test Tags         board


*** Test Cases ***
U-Boot Tells Its Version
    ${version} =    Uboot Run Command    version
    Should Match Regexp    ${version}    ^U-Boot \\d{4}\\.\\d{2}
    ${prompt} =    Uboot Prompt
    Should Be Equal    ${prompt}    =>

Variables Keep Their Values As They Are
    Uboot Set Env    greeting    it's "hello"; \${not_expanded}
    ${greeting} =    Uboot Get Env    greeting
    Should Be Equal    ${greeting}    it's "hello"; \${not_expanded}
    ${printed} =    Uboot Run Command    printenv greeting
    Should Start With    ${printed}    greeting=it's "hello"

Several Variables Are Set And Removed At Once
    VAR    &{more} =    one=1    two=2    greeting=${None}
    Uboot Set Env Dict    ${more}
    ${two} =    Uboot Run Command Checked    echo \${one}\${two}
    Should Be Equal    ${two}    ${{['12']}}
    ${greeting} =    Uboot Get Env    greeting
    Should Be Equal    ${greeting}    ${None}

A Command That Fails Tells Its Exit Code
    Run Keyword And Expect Error    *`printenv nothing` ended with exit code 1; it wrote *not defined*
    ...    Uboot Run Command Checked    printenv nothing
    ${lines} =    Uboot Run Command Checked    false    check=False
    Should Be Empty    ${lines}

A Command That Takes Too Long Is Ended
    Run Keyword And Expect Error    *`sleep 1000` did not end within 1 s*
    ...    Uboot Run Command    sleep 1000    timeout=1 s
    ${lines} =    Uboot Run Command Checked    echo back
    Should Be Equal    ${lines}    ${{['back']}}

A File Comes By TFTP
    ${info} =    Uboot Setup Dhcp
    Should Start With    ${info.ip_address}    10.0.2.
    Should Be Equal    ${info.gateway}    10.0.2.2
    Uboot Set Env    tftpblocksize    1468
    ${written} =    Uboot Run Command    tftpboot \${ramdisk_addr_r} initrd.gz
    Should Contain    ${written}    Bytes transferred
    ${size} =    Uboot Get Env    filesize
    ${expected} =    Linux File Size    initrd.gz
    Should Be Equal    ${{int($size, 16)}}    ${expected}
    Run Keyword And Expect Error    *no-such-file*
    ...    Uboot Run Command Checked    tftpboot \${loadaddr} no-such-file

The Console Is Given Back Where It Was
    Run Keyword And Expect Error    *uboot has it at U-Boot's prompt    Qemu Console Write    hello
    Uboot Set Env    kept    still here
    Uboot Leave Console
    Run Keyword And Expect Error    *not at its prompt*    Uboot Run Command    version
    Qemu Console Write Line    printenv kept    newline=\r
    Qemu Console Read Until    kept=still here


*** Keywords ***
Reboot To The Prompt
    Connect To The Board
    Uboot Reboot To Console
