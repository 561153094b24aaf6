*** Settings ***
Documentation     Media that take whole images, plain and compressed.

Library           JumpstarterLibrary
Library           images.py

Suite Setup       Connect To An Exporter With Storage
Suite Teardown    Disconnect And Clean Up
Test Timeout      3 minutes


*** Test Cases ***
A Card Holds What Was Flashed
    ${image} =    Make Image    card.img
    Flash Card    ${image}
    ${dumped} =    In Folder    card.dump
    Dump Card    ${dumped}
    Files Should Be Equal    ${image}    ${dumped}

A Card Takes A Smaller Image After A Larger One
    ${large} =    Make Image    large.img
    ${small} =    Make Image    small.img    size=${1000}
    Card Flash    ${large}
    Card Flash    ${small}
    ${dumped} =    In Folder    small.dump
    Card Dump    ${dumped}
    Files Should Be Equal    ${small}    ${dumped}

A Medium Between Host And Board Takes Local Files
    ${image} =    Make Image    medium.img
    Storage Host
    Storage Write Local File    ${image}
    ${back} =    In Folder    medium.back
    Storage Read Local File    ${back}
    Storage Dut
    Storage Off
    Files Should Be Equal    ${image}    ${back}

Partitions Are Flashed One By One Or At Once
    ${root} =    Make Image    root.img
    ${boot} =    Make Image    boot.img    size=${5000}
    Flasher Flash    ${root}    target=root
    VAR    &{both} =    boot=${boot}    spare=${root}
    Flasher Flash    ${both}
    FOR    ${target}    ${image}    IN    root    ${root}    boot    ${boot}    spare    ${root}
        ${dumped} =    In Folder    ${target}.dump
        Flasher Dump    ${dumped}    target=${target}
        Files Should Be Equal    ${image}    ${dumped}
    END
    Run Keyword And Expect Error    *never flashed*    Flasher Dump    ${dumped}    target=none

Compressed Images Are Flashed As What They Hold And Dumped Compressed
    [Template]    Compression Should Work
    gzip
    xz
    bz2
    zstd

A Web Server's Image Is Flashed
    ${image} =    Make Image    net.img    size=${300001}
    Pack Image    ${image}    xz
    ${url} =    Start Web Server
    Flasher Flash    ${url}/net.img.xz    compression=xz
    ${dumped} =    In Folder    net.dump
    Flasher Dump    ${dumped}
    Files Should Be Equal    ${image}    ${dumped}

A Broken Image Is Told
    ${image} =    Make Image    plain.img    size=${100000}
    Run Keyword And Expect Error    *gzip*    Flasher Flash    ${image}    compression=gzip
    Run Keyword And Expect Error    *zip*    Flasher Flash    ${image}    compression=zip
    Run Keyword And Expect Error    *no-such-image*    Flasher Flash    no-such-image


*** Keywords ***
Compression Should Work
    [Arguments]    ${compression}
    ${image} =    Make Image    ${compression}.img    size=${300001}
    ${packed} =    Pack Image    ${image}    ${compression}
    Flasher Flash    ${packed}    compression=${compression}
    ${plain} =    In Folder    ${compression}.plain
    Flasher Dump    ${plain}
    Files Should Be Equal    ${image}    ${plain}
    ${dumped} =    In Folder    ${compression}.dump
    Flasher Dump    ${dumped}    compression=${compression}
    ${unpacked} =    Unpack Image    ${dumped}    ${compression}
    Files Should Be Equal    ${image}    ${unpacked}

Connect To An Exporter With Storage
    ${config} =    Start Storage
    Connect To Exporter    config=${config}

Disconnect And Clean Up
    Disconnect From Exporter
    Clean Up
