*** Settings ***
Documentation     Files of the exporter's machine: up, down, and what is there.

Library           OperatingSystem
Library           JumpstarterLibrary
Library           images.py

Suite Setup       Connect To An Exporter With Storage
Suite Teardown    Disconnect And Clean Up
Test Timeout      3 minutes


*** Test Cases ***
A File Comes Back As It Was
    ${image} =    Make Image    up.img
    Files Write From Path    up.img    ${image}
    ${stored} =    In Store    up.img
    Files Should Be Equal    ${image}    ${stored}
    ${back} =    In Folder    back.img
    Files Read Into Path    up.img    ${back}
    Files Should Be Equal    ${image}    ${back}

Digests Are Made On The Exporter
    ${image} =    Make Image    digest.img
    Write Files From Path    digest.img    ${image}
    FOR    ${algorithm}    IN    sha256    md5
        ${expected} =    Digest Of    ${image}    ${algorithm}
        ${digest} =    Files Hash    digest.img    ${algorithm}
        Should Be Equal    ${digest}    ${expected}
    END

A Small File Is Written And Read As Bytes
    Files Write Bytes    notes/bytes.bin    \x00\xffabc
    ${data} =    Files Read Bytes    notes/bytes.bin
    Should Be Equal    ${data}    ${{b'\x00\xffabc'}}
    Files Write Bytes    notes/bytes.bin    shorter
    ${path} =    In Store    notes/bytes.bin
    ${text} =    Get File    ${path}
    Should Be Equal    ${text}    shorter

A File Of No Bytes Is One
    ${image} =    Make Image    void.img    size=${0}
    Files Write From Path    void.img    ${image}
    ${there} =    Files Exists    void.img
    Should Be True    ${there}
    ${data} =    Files Read Bytes    void.img
    Should Be Equal    ${data}    ${{b''}}

A File Comes From A Web Server
    ${image} =    Make Image    web.img
    ${url} =    Start Web Server
    Files Write From Path    fetched.img    ${url}/web.img
    ${stored} =    In Store    fetched.img
    Files Should Be Equal    ${image}    ${stored}
    Run Keyword And Expect Error    *404*    Files Write From Path    none.img    ${url}/no-such-file

Files Are Listed, Copied And Moved
    Files Create Dir    tree/
    Files Write Bytes    tree/first    one
    Files Copy    tree/first    tree/second
    Files Rename    tree/first    tree/third
    ${names} =    Files List    tree/
    ${files} =    Evaluate    sorted(name for name in $names if not name.endswith('/'))
    Should Be Equal    ${files}    ${{['tree/second', 'tree/third']}}
    ${facts} =    Files Stat    tree/second
    Should Be Equal As Integers    ${facts.content_length}    3

Files And Folders Are Removed
    Files Write Bytes    heap/first    one
    Files Write Bytes    heap/second    two
    Files Delete    heap/first
    ${there} =    Files Exists    heap/first
    Should Not Be True    ${there}
    Files Remove All    heap/
    ${path} =    In Store    heap
    Should Not Exist    ${path}

What A Session Made Is Known
    Files Write Bytes    made-here    x
    ${made} =    Files Get Created Resources
    Should Contain    ${made}    made-here

Files Out Of The Store Are Refused
    Run Keyword And Expect Error    *path escapes*    Files Read Bytes    ../exporter.yaml
    Run Keyword And Expect Error    *no-such-file*    Files Read Bytes    no-such-file
    Run Keyword And Expect Error    *no-such-source*    Files Write From Path    target    no-such-source

Storage In Memory Works Likewise
    ${image} =    Make Image    memory.img    size=${100000}
    Memory Write From Path    image    ${image}
    ${expected} =    Digest Of    ${image}
    ${digest} =    Memory Hash    image
    Should Be Equal    ${digest}    ${expected}


*** Keywords ***
Connect To An Exporter With Storage
    ${config} =    Start Storage
    Connect To Exporter    config=${config}

Disconnect And Clean Up
    Disconnect From Exporter
    Clean Up
