*** Settings ***
Documentation     Debian's kernel on an emulated aarch64 board: started by U-Boot from the network, used over its
...               console, with files that go in and out. One boot serves all tests, which build on each other.

Resource          console.resource

Suite Setup       Boot Linux From The Boot Prompt
Suite Teardown    Disconnect And Clean Up
Test Setup        Skip If    $PREV_TEST_STATUS in ('FAIL', 'SKIP')    a test before this one failed
Test Timeout      3 minutes

Test Tags         board


*** Test Cases ***
Linux Tells Its Version
    ${kernel} =    Should Succeed In Linux    uname -srm
    Should Match Regexp    ${kernel}    ^Linux \\d+\\.\\d+\\.\\d+\\S* aarch64$

A Command Has An Exit Code
    ${code}    ${written} =    Run In Linux    echo one; echo two; (exit 42)
    Should Be Equal As Integers    ${code}    42
    Should Be Equal    ${written}    one\ntwo
    ${code}    ${written} =    Run In Linux    no-such-command
    Should Be Equal As Integers    ${code}    127
    Should Contain    ${written}    not found

Linux Has What U-Boot Was Told
    ${arguments} =    Should Succeed In Linux    cat /proc/cmdline
    Should Contain    ${arguments}    marker=from-u-boot

Control Characters Reach The Shell
    # The terminal has left the shell's mode once the shell says something, and cat runs once it answers: the first
    # line is the terminal's echo, the second is cat's.
    Qemu Console Write Line    echo "start"ing; cat
    Qemu Console Read Until    starting\r\n
    Qemu Console Write Line    ping
    Qemu Console Read Until    ping\r\nping\r\n
    Qemu Console Write Bytes    \x03
    Qemu Console Read Until    ${TARGET PROMPT}
    ${code}    ${written} =    Run In Linux    true
    Should Be Equal    ${{($code, $written)}}    ${{(0, '')}}

Linux Gets An Address
    # The one that U-Boot had, which is where ports of the host lead to.
    ${lease} =    Should Succeed In Linux    udhcpc -i eth0 -n -q
    Should Contain    ${lease}    lease of 10.0.2.15${SPACE}

A File Goes In By HTTP
    ${sent} =    Make Disk    sent.bin
    ${port} =    Start Web Server
    Should Succeed In Linux    wget -q -O /tmp/sent.bin http://10.0.2.2:${port}/sent.bin
    Digest In Linux Should Be    /tmp/sent.bin    ${sent}

A Flashed Disk Is What Linux Reads
    ${disk} =    Host File    disk.img
    Digest In Linux Should Be    /dev/vda    ${disk}

A File Comes Out Through A Port Forward
    ${received} =    Host File    received.bin
    Should Succeed In Linux    (nc -l -p 80 < /tmp/sent.bin &) 2>/dev/null
    Should Succeed In Linux    until netstat -ltn | grep -q :80; do :; done
    ${address} =    Open Qemu Web Tcp Forward
    Receive Disk    ${received}    ${address}
    Digest In Linux Should Be    /tmp/sent.bin    ${received}
    [Teardown]    Close Qemu Web Tcp Forward

Linux Powers Off And Its Disk Comes Out
    Should Succeed In Linux    dd if=/tmp/sent.bin of=/dev/vda bs=64k conv\=fsync
    Qemu Console Write Line    poweroff
    Qemu Console Read Until    Power down
    Qemu Power Off
    ${dumped} =    Host File    dumped.bin
    Qemu Flasher Dump    ${dumped}
    ${expected} =    Host File    sent.bin
    ${sent} =    Digest Of    ${expected}
    ${found} =    Digest Of    ${dumped}
    Should Be Equal    ${found}    ${sent}


*** Keywords ***
Boot Linux From The Boot Prompt
    Connect To The Board
    ${disk} =    Make Disk    disk.img
    Qemu Flasher Flash    ${disk}
    Uboot Reboot To Console
    Fetch Linux
    Uboot Leave Console
    Qemu Console Write Line
    ...    booti \${kernel_addr_r} \${ramdisk_addr_r}:\${filesize} \${fdtcontroladdr}    newline=\r
    Log In To Linux

Fetch Linux
    Uboot Setup Dhcp
    Uboot Set Env    tftpblocksize    1468
    Uboot Set Env    bootargs    console=ttyAMA0 quiet panic=-1 marker=from-u-boot
    Uboot Run Command Checked    tftpboot \${kernel_addr_r} Image
    Uboot Run Command Checked    tftpboot \${ramdisk_addr_r} initrd.gz

Digest In Linux Should Be
    [Documentation]    The file or device in the board must have the content of the host's file.
    [Arguments]    ${path}    ${host file}
    ${expected} =    Digest Of    ${host file}
    ${found} =    Should Succeed In Linux    sha256sum ${path}
    Should Start With    ${found}    ${expected}${SPACE}
